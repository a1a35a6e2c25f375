"""What a list holds, and where its next page begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kit.cursors import decode_cursor, encode_cursor
from services.catalog.domain import VideoStatus

MAX_TOTAL: Final = 10_000
"""The videos of a list are counted up to here."""

_KEY_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "created_at": (type(None),),
    "title": (str,),
    "duration_sec": (float, int, type(None)),
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions on the videos of a list; None (or empty) asks for all."""

    query: str = ""
    """Words of titles, or parts of them."""
    status: VideoStatus | None = None
    tag: str | None = None
    corporation_id: str | None = None
    uploader_id: str | None = None
    min_duration_sec: float | None = None
    max_duration_sec: float | None = None
    min_height: int | None = None
    """Of the picture, in pixels."""
    codec: str | None = None
    """Of the picture."""
    created_from: datetime | None = None
    created_to: datetime | None = None
    """Before this."""


@dataclass(frozen=True, slots=True)
class Position:
    """The last video of a page: the next page begins after it."""

    sort: str
    key: str | float | None
    """Its value of the column that the list is sorted by; None when it has none, or for a list sorted by id."""
    video_id: str


def to_cursor(position: Position) -> str:
    """Return a position as text that callers hand back unread."""
    return encode_cursor([position.sort, position.key, position.video_id])


def from_cursor(cursor: str, sort: str) -> Position:
    """Return the position of a cursor.

    Raises:
        ValueError: it is not one of ours, or of a list in another order.
    """
    match decode_cursor(cursor):
        case [str(of), key, str(video_id)] if of == sort and isinstance(key, _KEY_TYPES[sort.lstrip("-")]):
            return Position(of, key, video_id)
    raise ValueError("is not a cursor of this list")
