"""The metadata of catalog's tables."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The metadata of catalog's tables."""
