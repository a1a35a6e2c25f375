"""The transactional outbox and inbox: events leave with the fact they tell of, and take effect once.

An event is a row written in the transaction of its fact. The relay publishes rows and marks them sent after the bus has
confirmed; a crash between the two publishes again, under the same id, and the consumer's inbox recognises it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from kit.bus import Bus, BusUnavailableError
from kit.db.columns import UtcDateTime
from kit.events.envelope import Event
from kit.telemetry import OUTBOX_AGE, OUTBOX_SENT, current

if TYPE_CHECKING:
    from kit.db.database import Database

log = structlog.get_logger()

metadata = MetaData()

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("type", String(100), nullable=False),
    Column("source", String(50), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("traceparent", String(100), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
)
_waiting = outbox.c.sent_at.is_(None)
Index("ix_outbox_waiting", outbox.c.not_before, sqlite_where=_waiting, postgresql_where=_waiting)

inbox = Table(
    "inbox",
    metadata,
    Column("consumer", String(100), primary_key=True),
    Column("event_id", String(36), primary_key=True),
    Column("received_at", UtcDateTime, nullable=False, index=True),
)

BATCH = 200
POLL_SEC = 0.5
MAX_PAUSE_SEC = 5.0
UNROUTED_RETRY = timedelta(seconds=5)
KEEP_SENT = timedelta(days=1)
KEEP_RECEIVED = timedelta(days=30)
"""Longer than any event can still be on its way: retries, an outage of the broker, a replayed dead letter."""
PRUNE_EVERY_SEC = 3600


async def store(session: AsyncSession, event: Event) -> None:
    """Writes an event in the session's transaction, with the trace of the work in hand."""
    await session.execute(
        outbox.insert().values(
            id=event.id,
            type=event.type,
            source=event.source,
            subject=event.subject,
            version=event.version,
            body=event.body,
            traceparent=event.traceparent or current("traceparent"),
            request_id=event.request_id or current("request_id"),
            occurred_at=event.time,
            not_before=event.time,
        )
    )


async def first_delivery(session: AsyncSession, consumer: str, event_id: str) -> bool:
    """Remembers a delivery in the session's transaction; False when it was already remembered."""
    row = {"consumer": consumer, "event_id": event_id, "received_at": datetime.now(UTC)}
    dialect = session.get_bind().dialect.name
    insert = sqlite.insert(inbox) if dialect == "sqlite" else postgresql.insert(inbox)
    statement = insert.values(row).on_conflict_do_nothing().returning(inbox.c.event_id)
    return (await session.execute(statement)).first() is not None


class Relay:
    """Moves events from one service's outbox to the bus. Several may run: they share the rows out.

    Args:
        required: types that somebody must receive; they wait in the outbox until a queue for them exists.
    """

    def __init__(self, service: str, database: Database, bus: Bus, *, required: Collection[str] = ()) -> None:
        self._service = service
        self._database = database
        self._bus = bus
        self._required = frozenset(required)
        self._wake = asyncio.Event()
        database.on_recorded(self._wake.set)

    async def run(self) -> None:
        """Relays until cancelled. A bus or database that is away is waited for."""
        pause = POLL_SEC
        next_prune = 0.0
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            try:
                while await self._relay_batch() == BATCH:
                    pass
                await self._measure()
                if loop.time() >= next_prune:
                    await self._prune()
                    next_prune = loop.time() + PRUNE_EVERY_SEC
                pause = POLL_SEC
            except BusUnavailableError as error:
                log.warning("outbox_waits_for_bus", reason=str(error))
                pause = await self._back_off(pause)
                continue
            except Exception:
                log.exception("outbox_relay_failed")
                pause = await self._back_off(pause)
                continue
            # Not wait_for: that one forgets a cancellation that comes together with the event (Python 3.11).
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    @staticmethod
    async def _back_off(pause: float) -> float:
        """Waits longer than the last time. New events don't shorten it: they come at the rate of requests."""
        pause = min(pause * 2, MAX_PAUSE_SEC)
        await asyncio.sleep(pause)
        return pause

    async def _relay_batch(self) -> int:
        if self._database.is_sqlite:
            return await self._relay_unlocked()
        return await self._relay_locked()

    async def _relay_locked(self) -> int:
        """PostgreSQL: the rows stay locked while they are published, so no other relay sends them too."""
        async with self._database.write() as transaction:
            session = transaction.session
            events = await _due(session, lock=True)
            if events:
                sent = await self._bus.publish(events, required=self._required)
                await self._settle(session, events, sent)
        return len(events)

    async def _relay_unlocked(self) -> int:
        """SQLite: publishing must not hold its only write lock; one process owns the file, so nobody else sends."""
        async with self._database.read() as session:
            events = await _due(session, lock=False)
        if events:
            sent = await self._bus.publish(events, required=self._required)
            async with self._database.write() as transaction:
                await self._settle(transaction.session, events, sent)
        return len(events)

    async def _settle(self, session: AsyncSession, events: list[Event], sent: frozenset[str]) -> None:
        now = datetime.now(UTC)
        if sent:
            await session.execute(update(outbox).where(outbox.c.id.in_(sent)).values(sent_at=now))
            OUTBOX_SENT.labels(self._service).inc(len(sent))
        if left := [event.id for event in events if event.id not in sent]:
            log.warning("outbox_events_not_routed", event_ids=left)
            await session.execute(update(outbox).where(outbox.c.id.in_(left)).values(not_before=now + UNROUTED_RETRY))

    async def _measure(self) -> None:
        async with self._database.read() as session:
            oldest = (await session.execute(select(func.min(outbox.c.occurred_at)).where(_waiting))).scalar()
        age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
        OUTBOX_AGE.labels(self._service).set(max(age, 0.0))

    async def _prune(self) -> None:
        now = datetime.now(UTC)
        async with self._database.write() as transaction:
            await transaction.session.execute(delete(outbox).where(outbox.c.sent_at < now - KEEP_SENT))
            await transaction.session.execute(delete(inbox).where(inbox.c.received_at < now - KEEP_RECEIVED))


async def _due(session: AsyncSession, *, lock: bool) -> list[Event]:
    statement = (
        select(outbox)
        .where(_waiting, outbox.c.not_before <= datetime.now(UTC))
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
