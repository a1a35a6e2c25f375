"""The slots of one process, under a clock of the test's own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kit.testing.depth import cases
from services.stream.slots import Ended, EndReason, Limits, SlotStore
from services.stream.slots.memory import MemorySlots
from services.stream.tests.unit.slots.contract import SlotsContract
from services.stream.tests.unit.slots.machine import SlotsMachine, check
from services.stream.tests.unit.slots.support import BEGINNING_SEC, LIMITS, World, a_request


class MemoryWorld(World):
    refuses_after_loss = False
    settle_sec = 0.0

    def __init__(self, limits: Limits = LIMITS) -> None:
        super().__init__(limits)
        self._now = BEGINNING_SEC
        self._store = MemorySlots(limits, lambda: self._now)

    @property
    def now(self) -> float:
        return self._now

    @property
    def stores(self) -> Sequence[SlotStore]:
        return [self._store]

    async def jump(self, sec: float) -> None:
        self._now = round(self._now + sec, 3)

    async def restart(self) -> None:
        pass

    async def forget(self) -> None:
        self._store = MemorySlots(self.limits, lambda: self._now)


class TestMemorySlots(SlotsContract):
    @pytest.fixture
    async def world(self) -> World:
        return MemoryWorld()

    async def test_forgets_why_a_session_ended_after_the_tombstone_time(self, world: World) -> None:
        session = await world.granted(a_request())
        await world.store.stop(session.id, EndReason.STOPPED)
        await world.wait(LIMITS.tombstone_sec - 1)
        assert await world.store.get(session.id) == Ended(EndReason.STOPPED)
        await world.wait(1)
        assert await world.store.get(session.id) == Ended(EndReason.UNKNOWN)


class MemoryMachine(SlotsMachine):
    async def new_world(self) -> World:
        return MemoryWorld()

    async def end_world(self) -> None:
        pass


def test_random_operations_match_the_model() -> None:
    check(MemoryMachine, examples=cases(quick=25, deep=1000), steps=50)
