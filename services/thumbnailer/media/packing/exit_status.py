"""How the child that remuxes says why it failed: its output is a stream of media, so only its exit status is left."""

from __future__ import annotations

from typing import Final

_FIRST: Final = 64
"""Python and shells use lower ones."""
_CODES: Final = (
    "DAMAGED",
    "DECODER_CRASHED",
    "FILE_UNREADABLE",
    "MEMORY_LIMIT",
    "NEEDS_TRANSCODING",
    "NOT_A_VIDEO",
    "NO_VIDEO_TRACK",
    "SERVER_BUSY",
    "TRUNCATED",
    "UNSUPPORTED_CODEC",
    "UNSUPPORTED_CONTAINER",
)
"""Of `domain`, all that the child may report."""


def to_status(code: str) -> int:
    """Return the exit status for a code of a failure."""
    return _FIRST + _CODES.index(code if code in _CODES else "DAMAGED")


def to_code(status: int) -> str | None:
    """Return the code that an exit status stands for; None for others."""
    return _CODES[status - _FIRST] if 0 <= status - _FIRST < len(_CODES) else None
