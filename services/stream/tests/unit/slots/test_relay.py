"""The relay between the slots and the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest
from prometheus_client import REGISTRY

from kit.bus import BusUnavailableError
from kit.events import relay as kit_relay
from kit.events.envelope import Event
from kit.testing.bus_contract import eventually
from kit.testing.fakes import FakeBus
from services.stream.slots import EndReason, Outgoing, SlotsUnavailableError, relay
from services.stream.slots.memory import MemorySlots
from services.stream.slots.relay import slots_relay
from services.stream.tests.unit.slots.support import LIMITS, a_request


class PickyBus(FakeBus):
    """A bus that takes charge of some types only."""

    def __init__(self) -> None:
        super().__init__()
        self.unrouted: set[str] = set()

    async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
        return await super().publish([each for each in events if each.type not in self.unrouted & set(required)])


class UncertainSlots(MemorySlots):
    """A store that can be out of reach."""

    away = False

    async def pending(self, limit: int, *, after: str = "") -> list[Outgoing]:
        if self.away:
            raise SlotsUnavailableError("switched off by the test")
        return await super().pending(limit, after=after)


@pytest.fixture
def store() -> UncertainSlots:
    return UncertainSlots(LIMITS)


@pytest.fixture
def bus() -> PickyBus:
    return PickyBus()


def oldest_age() -> float | None:
    return REGISTRY.get_sample_value("outbox_oldest_age_seconds", {"service": "stream"})


async def play(store: MemorySlots) -> str:
    """Start and stop a session; return its id."""
    request = a_request()
    await store.start(request)
    await store.stop(request.session_id, EndReason.ENDED)
    return request.session_id


async def test_everything_is_published_in_order_and_acknowledged(
    store: UncertainSlots, bus: PickyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 3)
    sessions = [await play(store) for _ in range(4)]
    assert await slots_relay(store, bus).relay()
    assert [each.subject for each in bus.published] == [each for each in sessions for _ in range(2)]
    assert bus.types() == ["stream.started", "stream.stopped"] * 4
    assert await store.pending(10) == []
    assert oldest_age() == 0


async def test_unroutable_event_stays_and_delays_no_other(
    store: UncertainSlots, bus: PickyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 1)
    bus.unrouted = {"stream.stopped"}
    mover = slots_relay(store, bus, required=["stream.stopped"])
    for _ in range(2):
        await play(store)
    assert not await mover.relay()
    assert bus.types() == ["stream.started"] * 2
    assert (oldest_age() or 0) > 0
    bus.unrouted = set()
    assert await mover.relay()
    assert bus.types() == ["stream.started"] * 2 + ["stream.stopped"] * 2


async def test_nothing_is_lost_while_the_bus_or_the_store_is_away(
    store: UncertainSlots, bus: PickyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit_relay, "POLL_SEC", 0.005)
    monkeypatch.setattr(kit_relay, "MAX_PAUSE_SEC", 0.01)
    bus.available = False
    await play(store)
    mover = slots_relay(store, bus)
    with pytest.raises(BusUnavailableError):
        await mover.relay()
    running = asyncio.create_task(mover.run())
    bus.available, store.away = True, True
    await asyncio.sleep(0)
    assert bus.published == []
    store.away = False
    await eventually(lambda: len(bus.published) == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
