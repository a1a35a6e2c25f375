"""Cursors of lists: where a page ends, as text that clients hand back unread."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime

Value = str | float | None


def encode_cursor(values: Sequence[Value]) -> str:
    """Return values as a cursor: base64url of JSON."""
    return base64.urlsafe_b64encode(json.dumps(list(values), ensure_ascii=False).encode()).decode().rstrip("=")


def encode_moment_cursor(moment: datetime, row_id: str) -> str:
    """Return the cursor of a list by time: time and id of a page's last row."""
    return encode_cursor([moment.isoformat(), row_id])


def decode_moment_cursor(cursor: str) -> tuple[datetime, str]:
    """Return time and id of such a cursor.

    Raises:
        ValueError: it is not one.
    """
    match decode_cursor(cursor):
        case [str(text), str(row_id)] if (moment := datetime.fromisoformat(text)).tzinfo is not None:
            return moment, row_id
    raise ValueError("is not a cursor of this list")


def decode_cursor(cursor: str) -> list[Value]:
    """Return the values of a cursor; the caller checks how many there are, and of which types.

    Raises:
        ValueError: it is not one.
    """
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise ValueError("is not a cursor") from error
    if not isinstance(values, list) or not all(
        each is None or (isinstance(each, str | float | int) and not isinstance(each, bool)) for each in values
    ):
        raise ValueError("is not a cursor")
    return values
