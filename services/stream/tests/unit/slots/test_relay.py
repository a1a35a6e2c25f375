"""The relay between the slots and the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest
from prometheus_client import REGISTRY

from kit.bus import BusUnavailableError
from kit.events.envelope import Event
from kit.testing.bus_contract import eventually
from kit.testing.fakes import FakeBus
from services.stream.slots import EndReason, Outgoing, SlotsUnavailable, relay
from services.stream.slots.memory import MemorySlots
from services.stream.slots.relay import SlotsRelay
from services.stream.tests.unit.slots.support import LIMITS, a_viewing


class PickyBus(FakeBus):
    """Takes charge of some types only."""

    def __init__(self) -> None:
        super().__init__()
        self.unrouted: set[str] = set()

    async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
        return await super().publish([each for each in events if each.type not in self.unrouted & set(required)])


class UncertainSlots(MemorySlots):
    """Can be out of reach."""

    away = False

    async def pending(self, limit: int, *, after: str = "") -> list[Outgoing]:
        if self.away:
            raise SlotsUnavailable("switched off by the test")
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
    """A session from start to end."""
    viewing = a_viewing()
    await store.start(viewing)
    await store.stop(viewing.session_id, EndReason.ENDED)
    return viewing.session_id


async def test_everything_is_published_in_order_and_acknowledged(
    store: UncertainSlots, bus: PickyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 3)
    sessions = [await play(store) for _ in range(4)]
    assert await SlotsRelay(store, bus).relay()
    assert [each.subject for each in bus.published] == [each for each in sessions for _ in range(2)]
    assert bus.types() == ["stream.started", "stream.stopped"] * 4
    assert await store.pending(10) == []
    assert oldest_age() == 0


async def test_what_nobody_takes_stays_and_holds_nothing_up(
    store: UncertainSlots, bus: PickyBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 1)
    bus.unrouted = {"stream.stopped"}
    mover = SlotsRelay(store, bus, required=["stream.stopped"])
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
    monkeypatch.setattr(relay, "POLL_SEC", 0.005)
    monkeypatch.setattr(relay, "MAX_PAUSE_SEC", 0.01)
    bus.available = False
    await play(store)
    mover = SlotsRelay(store, bus)
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
