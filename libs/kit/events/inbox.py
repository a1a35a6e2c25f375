"""The transactional inbox: an event takes effect once, however often it is delivered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from kit.events.tables import inbox

KEEP_RECEIVED = timedelta(days=30)
"""Longer than any event can still be on its way: retries, an outage of the broker, a replayed dead letter."""


async def first_deliveries(session: AsyncSession, consumer: str, event_ids: Collection[str]) -> set[str]:
    """Remember deliveries in the session's transaction, in one statement; return those not remembered before."""
    now = datetime.now(UTC)
    # In one order, so that two transactions wait for each other and never in a circle.
    rows = [{"consumer": consumer, "event_id": event_id, "received_at": now} for event_id in sorted(set(event_ids))]
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert(inbox) if dialect == "sqlite" else postgresql.insert(inbox)
    statement = insert.on_conflict_do_nothing().returning(inbox.c.event_id)
    return set((await session.execute(statement, rows)).scalars())


async def prune_received(session: AsyncSession) -> None:
    """Delete what was received more than `KEEP_RECEIVED` ago."""
    await session.execute(delete(inbox).where(inbox.c.received_at < datetime.now(UTC) - KEEP_RECEIVED))
