"""The event bus of one process that holds all services: a SQLite file instead of a broker.

Each work subscription has a row for each event that it still has to handle. A row leaves when it was handled, or moves
to the dead letters, so a start finds exactly what the last run did not finish, however that run ended. Broadcasts live
in memory: when the only process ends, its caches are lost with them.
"""

# ruff: noqa: D102 - the port says what the methods do

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from kit.bus.handling import CONNECTED, SubscriptionRegistry
from kit.bus.local import rows
from kit.bus.local.file import File
from kit.bus.local.lanes import Broadcast, Lane, RetryClock
from kit.bus.port import DeadLetter, Delivery, Handler, Subscription
from kit.bus.topics import any_matches
from kit.events.envelope import Event


class LocalBus:
    """Carries events between the services of one process. One instance a process has the file delivered."""

    def __init__(self, path: Path) -> None:
        self._registry = SubscriptionRegistry()
        self._file = File(path)
        self._lanes: list[Lane] = []
        self._broadcasts: list[Broadcast] = []
        self._callbacks: list[Callable[[], None]] = []
        self._clock: RetryClock | None = None

    def subscribe(self, subscription: Subscription, handler: Handler) -> None:
        self._registry.add(subscription, handler)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    async def start(self) -> None:
        self._registry.complete()
        await self._file.open()
        self._lanes = [
            Lane(registration, self._file, self._retry_at) for registration in self._registry.of(Delivery.WORK)
        ]
        self._broadcasts = [
            Broadcast(registration, self._missed) for registration in self._registry.of(Delivery.BROADCAST)
        ]
        self._clock = RetryClock(self._file, self._lanes)
        CONNECTED.set(1)

    async def close(self, drain_sec: float = 5) -> None:
        CONNECTED.set(0)
        if self._clock:
            await self._clock.close()
            self._clock = None
        await asyncio.gather(
            *(lane.close(drain_sec) for lane in self._lanes),
            *(broadcast.close(drain_sec) for broadcast in self._broadcasts),
        )
        self._lanes, self._broadcasts = [], []
        await self._file.close()

    async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
        taken = []
        deliveries = []
        for event in events:
            takers = [
                each.subscription.name
                for each in self._registry.of(Delivery.WORK)
                if any_matches(each.subscription.types, event.type)
            ]
            if takers or event.type not in required:
                taken.append(event)
                deliveries += [(name, event) for name in takers]
        await self._file.run(lambda file: rows.insert(file, deliveries))
        receivers = {name for name, _ in deliveries}
        for lane in self._lanes:
            if lane.name in receivers:
                lane.wake()
        for broadcast in self._broadcasts:
            broadcast.offer(taken)
        return frozenset(event.id for event in taken)

    async def declare(self) -> None:
        await self._file.open()

    def is_connected(self) -> bool:
        return self._clock is not None

    async def dead_letters(self, subscription: str | None = None, limit: int = 100) -> list[DeadLetter]:
        await self._file.open()
        return await self._file.run(lambda file: rows.dead_letters(file, subscription, limit))

    async def replay(self, subscription: str, event_ids: Sequence[str] | None = None) -> int:
        await self._file.open()
        count = await self._file.run(lambda file: rows.replay(file, subscription, event_ids))
        for lane in self._lanes:
            lane.wake()
        return count

    def _retry_at(self, not_before: float) -> None:
        if self._clock:
            self._clock.set(not_before)

    def _missed(self) -> None:
        for callback in self._callbacks:
            callback()
