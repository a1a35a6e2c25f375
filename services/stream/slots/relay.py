"""Move the events of sessions from the store to the bus."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from kit.bus import Bus
from kit.events.envelope import Event
from kit.events.relay import Publish, Relay
from services.stream.slots.events import SOURCE
from services.stream.slots.port import SlotStore, SlotsUnavailableError

BATCH = 25
"""Events read, published and logged in one go: each holds up the loop, and viewers with it."""


def slots_relay(
    store: SlotStore,
    bus: Bus,
    *,
    required: Collection[str] | None = None,
    on_sent: Callable[[Event], None] = lambda _event: None,
) -> Relay:
    """Return the relay of the events of sessions. One runs in each replica; the store gives the events to one of them.

    Args:
        store: where the events are.
        bus: where they go.
        required: see `Relay`.
        on_sent: called with each event that the bus took charge of.
    """
    return Relay(SOURCE, SlotEvents(store, on_sent), bus, required=required)


class SlotEvents:
    """Implement `EventSource` from the store of the slots."""

    unavailable: type[Exception] = SlotsUnavailableError

    def __init__(self, store: SlotStore, on_sent: Callable[[Event], None]) -> None:
        self._store = store
        self._on_sent = on_sent

    async def drain(self, publish: Publish) -> datetime | None:
        """See `EventSource`."""
        oldest_left: datetime | None = None
        receipt = ""
        while batch := await self._store.pending(BATCH, after=receipt):
            sent = await publish([each.event for each in batch])
            await self._store.acknowledge([each.receipt for each in batch if each.event.id in sent])
            for each in batch:
                if each.event.id in sent:
                    self._on_sent(each.event)
                elif oldest_left is None:
                    oldest_left = each.event.time
            receipt = batch[-1].receipt
        return oldest_left
