"""The relay of an outbox: a database as the source of events."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime

from kit.bus import Bus
from kit.db.database import Database
from kit.db.failures import DatabaseUnavailableError
from kit.events import inbox, outbox
from kit.events.relay import Publish, Relay

PRUNE_EVERY_SEC = 3600


def outbox_relay(service: str, database: Database, bus: Bus, *, required: Collection[str] | None = None) -> Relay:
    """Return the relay of a service's outbox; see `Relay` for `required`. A commit that records events wakes it.

    Other processes record events in PostgreSQL, which polls find. A file of SQLite belongs to one process.
    """
    relay = Relay(service, OutboxSource(database), bus, required=required, is_woken=database.is_sqlite)
    database.on_recorded(relay.wake)
    return relay


class OutboxSource:
    """Answers `EventSource` from a database. From time to time, old rows are deleted and it is maintained."""

    unavailable: type[Exception] = DatabaseUnavailableError

    def __init__(self, database: Database) -> None:
        self._database = database
        self._prune_at = 0.0

    async def drain(self, publish: Publish) -> datetime | None:
        """See `EventSource`."""
        oldest = await self._oldest_waiting()
        if oldest is not None:
            publish_batch = self._publish_unlocked if self._database.is_sqlite else self._publish_locked
            while await publish_batch(publish) == outbox.BATCH:
                pass
            oldest = await self._oldest_waiting()
        now = asyncio.get_running_loop().time()
        if now >= self._prune_at:
            await self._prune()
            self._prune_at = now + PRUNE_EVERY_SEC
        return oldest

    async def _oldest_waiting(self) -> datetime | None:
        oldest: datetime | None = await self._database.look(outbox.OLDEST_WAITING)
        return oldest

    async def _publish_locked(self, publish: Publish) -> int:
        """PostgreSQL: the rows stay locked while they are published, so no other relay sends them too."""
        async with self._database.write() as transaction:
            events = await outbox.due(transaction.session, lock=True)
            if events:
                sent = await publish(events)
                await outbox.mark_sent(transaction.session, sent)
                await outbox.postpone(transaction.session, [event.id for event in events if event.id not in sent])
        return len(events)

    async def _publish_unlocked(self, publish: Publish) -> int:
        """SQLite: publishing must not hold its only write lock; one process owns the file, so no other relay sends."""
        async with self._database.read() as session:
            events = await outbox.due(session, lock=False)
        if events:
            sent = await publish(events)
            async with self._database.write() as transaction:
                await outbox.mark_sent(transaction.session, sent)
                await outbox.postpone(transaction.session, [event.id for event in events if event.id not in sent])
        return len(events)

    async def _prune(self) -> None:
        async with self._database.write() as transaction:
            await outbox.prune_sent(transaction.session)
            await inbox.prune_received(transaction.session)
        await self._database.maintain()
