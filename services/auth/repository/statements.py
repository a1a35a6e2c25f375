"""Parts of statements that the repositories share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import (
    AccountChange,
    Alert,
    Instance,
)

ESCAPE = "\\"
MAX_SEARCH_WORDS = 20


def split_words(query: str | None) -> list[str]:
    """Return the words that a name must hold, in any order."""
    return list(dict.fromkeys((query or "").split()))[:MAX_SEARCH_WORDS]


def containing(text: str) -> str:
    """Return a LIKE pattern for texts that contain this one."""
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return f"%{text}%"


async def get_page(
    session: AsyncSession, chosen: Select[Any], *newest_first: Any, offset: int, limit: int
) -> tuple[Sequence[Any], int]:
    """Return one page and the total number of rows: two statements, however long the page."""
    total = await session.scalar(select(func.count()).select_from(chosen.subquery()))
    rows = await session.scalars(chosen.order_by(*(each.desc() for each in newest_first)).offset(offset).limit(limit))
    return rows.all(), total or 0


def insert(session: AsyncSession, table: type[AccountChange | Alert | Instance]) -> Any:
    """Return an INSERT of the dialect in use, which knows ON CONFLICT."""
    return (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(table)
