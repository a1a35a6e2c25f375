"""Rules: which callers may watch a video, and how a request for its bytes is answered. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

from services.stream.delivery.preconditions import PreconditionResult
from services.stream.delivery.ranges import ByteRange, RangeNotSatisfiableError, select

_MEDIA_TYPE = re.compile(r"(?:video|audio)/[a-z0-9][a-z0-9.+-]*")


class AssetKind(StrEnum):
    """What an asset of a video is. Another packaging of a video gets a kind of its own (ADR 21)."""

    SOURCE = "source"
    """The file that was uploaded or imported; a video has one."""
    LSV = "lsv"
    """The LSV pack of a protected film, which alone may be served."""


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
    """Empty when the video has no sound."""
    width: int
    height: int
    bitrate_bps: int
    version: int
    """Grows when the bytes are replaced."""
    corporation_id: str
    """Empty for platform videos."""

    def is_visible_to(self, corporation_id: str, *, is_admin: bool) -> bool:
        """Return whether a member of this corporation (empty: of none) may see it."""
        return is_admin or self.corporation_id in ("", corporation_id)

    @property
    def is_protected(self) -> bool:
        """Return whether its bytes are an LSV pack."""
        return self.kind == AssetKind.LSV

    @property
    def content_type(self) -> str:
        """Return the media type of its bytes; `application/octet-stream` for one that a browser might take for a page.

        The bytes of a protected film are of no media type, either.
        """
        is_media = _MEDIA_TYPE.fullmatch(self.mime_type) and not self.is_protected
        return self.mime_type if is_media else "application/octet-stream"


class ResponseStatus(IntEnum):
    """The HTTP status of a response to a request for a file."""

    WHOLE = 200
    PARTIAL = 206
    NOT_MODIFIED = 304
    PRECONDITION_FAILED = 412
    NOT_SATISFIABLE = 416


class Decision(NamedTuple):
    """The status, and the bytes that go with it."""

    status: ResponseStatus
    ranges: tuple[ByteRange, ...] = ()
    """Never empty for PARTIAL; for WHOLE the file in one, or nothing when it is empty."""


def decide(method: str, range_header: str | None, precondition_result: PreconditionResult, size: int) -> Decision:
    """Return how a GET or HEAD of a file of `size` bytes is answered (RFC 9110, 13.2.2 and 14.2).

    Preconditions come before ranges. A range is defined for GET only, so that HEAD ignores one. A matching `If-Range`
    with an out-of-bounds range is still a 416: a client that has the whole file learns so without fetching it again.

    Args:
        method: `GET` or `HEAD`.
        range_header: the value of `Range`, if there is one.
        precondition_result: the result of the conditional headers.
        size: bytes of the file.
    """
    if precondition_result is PreconditionResult.FAILED:
        return Decision(ResponseStatus.PRECONDITION_FAILED)
    if precondition_result is PreconditionResult.NOT_MODIFIED:
        return Decision(ResponseStatus.NOT_MODIFIED)
    if method == "GET" and range_header is not None and precondition_result is PreconditionResult.PROCEED:
        try:
            ranges = select(range_header, size)
        except RangeNotSatisfiableError:
            return Decision(ResponseStatus.NOT_SATISFIABLE)
        if ranges is not None:
            return Decision(ResponseStatus.PARTIAL, ranges)
    return Decision(ResponseStatus.WHOLE, (ByteRange(0, size - 1),) if size else ())
