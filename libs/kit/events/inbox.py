"""The transactional inbox: an event takes effect once, however often it is delivered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from kit.events.tables import inbox

KEEP_RECEIVED = timedelta(days=30)
"""Longer than any event can still be on its way: retries, an outage of the broker, a replayed dead letter."""


async def first_delivery(session: AsyncSession, consumer: str, event_id: str) -> bool:
    """Remember a delivery in the session's transaction; return False when it was already remembered."""
    row = {"consumer": consumer, "event_id": event_id, "received_at": datetime.now(UTC)}
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert(inbox) if dialect == "sqlite" else postgresql.insert(inbox)
    statement = insert.values(row).on_conflict_do_nothing().returning(inbox.c.event_id)
    return (await session.execute(statement)).first() is not None


async def prune_received(session: AsyncSession) -> None:
    """Delete what was received more than `KEEP_RECEIVED` ago."""
    await session.execute(delete(inbox).where(inbox.c.received_at < datetime.now(UTC) - KEEP_RECEIVED))
