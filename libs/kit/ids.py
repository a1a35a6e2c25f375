"""Identifiers: time-ordered UUIDs for new things, name-based UUIDs where two runs must give the same."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import uuid_utils

_DERIVED = uuid.UUID("6f1c8a0e-5f0d-5a52-9a55-6d6172717565")


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562, 5.7): unique, and sorted by the time of its creation."""
    return str(uuid_utils.uuid7())


def created_at(id_: str) -> datetime:
    """Return when a UUIDv7 was made, in UTC, to the millisecond."""
    return datetime.fromtimestamp((uuid.UUID(id_).int >> 80) / 1000, UTC)


def derived_id(*parts: str) -> str:
    """Return a UUIDv5 of the parts: a job that runs twice gives its results the same ids, so duplicates show."""
    return str(uuid.uuid5(_DERIVED, "\x1f".join(parts)))


def is_id(text: str) -> bool:
    """Return whether the text is a UUID in its canonical form; nothing else can be a row's id."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
