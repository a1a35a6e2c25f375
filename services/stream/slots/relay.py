"""Moves the events of sessions from the store to the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime

import structlog

from kit.bus import Bus, BusUnavailableError
from kit.events.envelope import Event
from kit.telemetry import OUTBOX_AGE, OUTBOX_SENT
from services.stream.slots import SlotStore, SlotsUnavailable
from services.stream.slots.events import SOURCE

log = structlog.get_logger()

BATCH = 25
"""Events read, published and logged in one go: each holds up the loop, and viewers with it."""
POLL_SEC = 0.5
MAX_PAUSE_SEC = 5.0


class SlotsRelay:
    """One a replica; the store lets one of them have the events.

    An event is acknowledged when the bus has taken charge of it. One whose relay dies in between is published again,
    under the same id.

    Args:
        store: where the events are.
        bus: where they go.
        required: types that somebody must receive; they stay in the store until a queue for them exists.
        told: hears of each event that the bus took charge of.
    """

    def __init__(
        self,
        store: SlotStore,
        bus: Bus,
        *,
        required: Collection[str] = (),
        told: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._required = frozenset(required)
        self._told = told

    async def run(self) -> None:
        """Relays until cancelled. A bus or a store that is away is waited for."""
        pause = POLL_SEC
        while True:
            try:
                pause = POLL_SEC if await self.relay() else MAX_PAUSE_SEC
            except (BusUnavailableError, SlotsUnavailable) as error:
                log.warning("slots_relay_waits", reason=str(error))
                pause = min(pause * 2, MAX_PAUSE_SEC)
            except Exception:
                log.exception("slots_relay_failed")
                pause = min(pause * 2, MAX_PAUSE_SEC)
            await asyncio.sleep(pause)

    async def relay(self) -> bool:
        """Publishes what is there; answers whether all of it was taken.

        Raises:
            BusUnavailableError: the bus is away.
            SlotsUnavailable: the store is away.
        """
        waiting_since: datetime | None = None
        receipt = ""
        while batch := await self._store.pending(BATCH, after=receipt):
            OUTBOX_AGE.labels(SOURCE).set(_age(waiting_since or batch[0].event.time))
            sent = await self._bus.publish([each.event for each in batch], required=self._required)
            await self._store.acknowledge([each.receipt for each in batch if each.event.id in sent])
            OUTBOX_SENT.labels(SOURCE).inc(len(sent))
            for each in batch:
                if each.event.id in sent:
                    self._told(each.event)
            if left := [each.event for each in batch if each.event.id not in sent]:
                log.warning("outbox_events_not_routed", event_ids=[event.id for event in left])
                waiting_since = waiting_since or left[0].time
            receipt = batch[-1].receipt
        OUTBOX_AGE.labels(SOURCE).set(_age(waiting_since) if waiting_since else 0)
        return waiting_since is None


def _age(moment: datetime) -> float:
    return max((datetime.now(UTC) - moment).total_seconds(), 0.0)
