"""Rules about who may watch what, and what a request for bytes is answered with. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

from services.stream.delivery.preconditions import PreconditionResult
from services.stream.delivery.ranges import ByteRange, RangeNotSatisfiable, select

_MEDIA_TYPE = re.compile(r"(?:video|audio)/[a-z0-9][a-z0-9.+-]*")


class AssetKind(StrEnum):
    """What an asset of a video is. Another packaging of a video gets a kind of its own (ADR 21)."""

    SOURCE = "source"
    """The file that was uploaded or imported; a video has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An asset of a video: where its bytes are and what they are, as catalog answers."""

    asset_id: str
    """Keys everything that is kept about its bytes. The video's id where catalog gave none, as before assets."""
    kind: str
    """An `AssetKind`."""
    video_id: str
    reference: str
    size_bytes: int
    mime_type: str
    duration_sec: float
    video_codec: str
    audio_codec: str
    """Empty when the video is silent."""
    width: int
    height: int
    bitrate_bps: int
    version: int
    corporation_id: str
    """Empty for platform videos."""

    def is_visible_to(self, corporation_id: str, *, is_admin: bool) -> bool:
        """Whether somebody of this corporation (empty: of none) may see it."""
        return is_admin or self.corporation_id in ("", corporation_id)

    @property
    def content_type(self) -> str:
        """Its media type; one that is no film must not be taken for a page by a browser."""
        return self.mime_type if _MEDIA_TYPE.fullmatch(self.mime_type) else "application/octet-stream"


class Outcome(IntEnum):
    """What a request for a file is answered with: the HTTP status."""

    WHOLE = 200
    PARTIAL = 206
    NOT_MODIFIED = 304
    PRECONDITION_FAILED = 412
    NOT_SATISFIABLE = 416


class Decision(NamedTuple):
    """The outcome, and the bytes that go with it."""

    outcome: Outcome
    ranges: tuple[ByteRange, ...] = ()
    """Never empty for PARTIAL; for WHOLE the file in one, or nothing when it is empty."""


def decide(method: str, range_header: str | None, verdict: PreconditionResult, size: int) -> Decision:
    """What a GET or HEAD of a file of `size` bytes is answered with (RFC 9110, 13.2.2 and 14.2).

    Conditions come before ranges: `verdict` is what they say. A range is defined for GET only, so that HEAD ignores
    one. An `If-Range` that holds leaves a range unsatisfiable that is: whoever has the whole file already learns so
    without getting it again.
    """
    if verdict is PreconditionResult.FAILED:
        return Decision(Outcome.PRECONDITION_FAILED)
    if verdict is PreconditionResult.NOT_MODIFIED:
        return Decision(Outcome.NOT_MODIFIED)
    if method == "GET" and range_header is not None and verdict is PreconditionResult.PROCEED:
        try:
            ranges = select(range_header, size)
        except RangeNotSatisfiable:
            return Decision(Outcome.NOT_SATISFIABLE)
        if ranges is not None:
            return Decision(Outcome.PARTIAL, ranges)
    return Decision(Outcome.WHOLE, (ByteRange(0, size - 1),) if size else ())
