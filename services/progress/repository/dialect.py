"""What the two databases spell differently."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


def is_sqlite(session: AsyncSession) -> bool:
    """Return whether the database in use is SQLite; it is PostgreSQL otherwise."""
    return session.get_bind().dialect.name == "sqlite"


def insert_into(session: AsyncSession, table: Any) -> Any:
    """Return an INSERT of the dialect in use with ON CONFLICT, whose syntax both databases share."""
    return sqlite.insert(table) if is_sqlite(session) else postgresql.insert(table)
