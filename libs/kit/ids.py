"""Identifiers: time-ordered UUIDs for new things, name-based UUIDs for things that must come out the same twice."""

from __future__ import annotations

import uuid

import uuid_utils

_DERIVED = uuid.UUID("6f1c8a0e-5f0d-5a52-9a55-6d6172717565")


def new_id() -> str:
    """A UUIDv7 (RFC 9562, 5.7): unique, and sorts by the time it was made."""
    return str(uuid_utils.uuid7())


def derived_id(*parts: str) -> str:
    """A UUIDv5 of the parts: a job that runs twice names its results alike, so they are recognised as the same."""
    return str(uuid.uuid5(_DERIVED, "\x1f".join(parts)))


def is_id(text: str) -> bool:
    """Whether the text is a UUID in its canonical form; anything else can't name a row."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
