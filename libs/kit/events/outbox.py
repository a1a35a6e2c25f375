"""The transactional outbox: an event is a row written in the transaction of the change that it reports.

The relay (`kit.events.outbox_relay`) publishes the rows and marks them sent after the bus has confirmed. A crash
between the two publishes an event again, under the same id, and the consumer's inbox recognises it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from kit.events.envelope import Event
from kit.events.registry import EVENTS
from kit.events.tables import inbox, is_waiting, metadata, outbox
from kit.telemetry import current

__all__ = [
    "BATCH",
    "KEEP_SENT",
    "OLDEST_WAITING",
    "due",
    "inbox",
    "mark_sent",
    "metadata",
    "outbox",
    "postpone",
    "prune_sent",
    "store",
    "to_row",
]

BATCH = 200
UNROUTED_RETRY = timedelta(seconds=5)
KEEP_SENT = timedelta(days=1)
OLDEST_WAITING = select(func.min(outbox.c.occurred_at)).where(is_waiting)
"""When the oldest event that is not sent happened; NULL if all are sent."""


async def store(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write events, as `to_row` returns them, in the session's transaction and in one statement."""
    await session.execute(outbox.insert(), rows)


def to_row(event: Event) -> dict[str, Any]:
    """Return an event as a row, with the trace of the current request.

    Raises:
        UnregisteredEventError: there is no such type of event.
    """
    EVENTS.get(event.type)
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "version": event.version,
        "body": event.body,
        "traceparent": event.traceparent or current("traceparent"),
        "request_id": event.request_id or current("request_id"),
        "occurred_at": event.time,
        "not_before": event.time,
    }


async def due(session: AsyncSession, *, lock: bool) -> list[Event]:
    """Return the next events to publish, at most `BATCH`.

    Args:
        session: the session to read with.
        lock: keep the rows locked until the transaction ends, and leave out rows that others have locked.
    """
    statement = (
        select(outbox)
        .where(is_waiting, outbox.c.not_before <= datetime.now(UTC))
        .order_by(outbox.c.not_before, outbox.c.id)
        .limit(BATCH)
    )
    if lock:
        statement = statement.with_for_update(skip_locked=True)
    return [
        Event(
            id=row.id,
            type=row.type,
            source=row.source,
            subject=row.subject,
            version=row.version,
            body=bytes(row.body),
            time=row.occurred_at,
            traceparent=row.traceparent,
            request_id=row.request_id,
        )
        for row in await session.execute(statement)
    ]


async def mark_sent(session: AsyncSession, event_ids: frozenset[str]) -> None:
    """Mark events as sent: the bus has taken charge of them."""
    if event_ids:
        await session.execute(update(outbox).where(outbox.c.id.in_(event_ids)).values(sent_at=datetime.now(UTC)))


async def postpone(session: AsyncSession, event_ids: list[str]) -> None:
    """Make these events due again after `UNROUTED_RETRY`, so that they block no others."""
    if event_ids:
        not_before = datetime.now(UTC) + UNROUTED_RETRY
        await session.execute(update(outbox).where(outbox.c.id.in_(event_ids)).values(not_before=not_before))


async def prune_sent(session: AsyncSession) -> None:
    """Delete what was sent more than `KEEP_SENT` ago."""
    await session.execute(delete(outbox).where(outbox.c.sent_at < datetime.now(UTC) - KEEP_SENT))
