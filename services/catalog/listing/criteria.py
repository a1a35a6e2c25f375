"""What a list holds, and where its next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.catalog.domain import VideoStatus

MAX_TOTAL: Final = 10_000
"""The videos of a list are counted up to here."""


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
    values = json.dumps([position.sort, position.key, position.video_id], ensure_ascii=False)
    return base64.urlsafe_b64encode(values.encode()).decode().rstrip("=")


def from_cursor(cursor: str, sort: str) -> Position:
    """Return the position of a cursor.

    Raises:
        ValueError: it is not one of ours, or of a list in another order.
    """
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise ValueError("is not a cursor") from error
    match values:
        case [str(of), None | str() | float() | int() as key, str(video_id)] if of == sort:
            pass
        case _:
            raise ValueError("is not a cursor of this list")
    is_text = sort.endswith("title")
    if sort.endswith("created_at") or (is_text and isinstance(key, str)):
        return Position(of, key, video_id)
    if not is_text and not isinstance(key, str | bool):
        return Position(of, key, video_id)
    raise ValueError("is not a cursor of this list")
