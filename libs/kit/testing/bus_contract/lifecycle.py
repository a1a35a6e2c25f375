"""What survives a restart, and what misuse is refused."""

# ruff: noqa: D102, PLR2004, S101 - these are tests, though pytest collects them from elsewhere

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kit.bus import Bus, Subscription
from kit.testing.bus_contract.harness import (
    BusHarness,
    Failing,
    Recorder,
    count_dead,
    event,
    eventually,
    eventually_equal,
    start,
)


@pytest.mark.asyncio
class LifecycleContract(BusHarness):
    """Nothing is lost when a bus closes."""

    # What survives

    async def test_what_was_not_acknowledged_is_redelivered(self, make_bus: Callable[[], Bus]) -> None:
        first, stuck = make_bus(), Recorder(gate_open=False)
        first.subscribe(Subscription("catalog.videos", ("#",), concurrency=2), stuck)
        await start(first)
        sent = [event() for _ in range(5)]
        await first.publish(sent)
        await eventually(lambda: stuck.running == 2)
        await first.close(drain_sec=0)
        assert stuck.running == 0
        assert not first.is_connected()

        second, got = make_bus(), Recorder()
        second.subscribe(Subscription("catalog.videos", ("#",), concurrency=2), got)
        await start(second)
        await eventually(lambda: len(got.finished) == 5)
        assert set(got.ids) == {each.id for each in sent}

    async def test_a_retry_survives_a_restart(self, make_bus: Callable[[], Bus]) -> None:
        first, failing = make_bus(), Failing(ValueError("no"))
        subscription = Subscription("catalog.videos", ("#",), retry_delays_sec=(0.5,))
        first.subscribe(subscription, failing)
        await start(first)
        await first.publish([event()])
        await eventually(lambda: len(failing.events) == 1)
        await first.close()

        second, again = make_bus(), Failing(ValueError("no"))
        second.subscribe(subscription, again)
        await start(second)
        await eventually_equal(lambda: count_dead(second), 1)
        assert len(again.events) == 1

    async def test_declared_queues_keep_events_for_a_later_consumer(self, make_bus: Callable[[], Bus]) -> None:
        declaring, got = make_bus(), Recorder()
        declaring.subscribe(Subscription("catalog.videos", ("video.*",)), Recorder())
        await declaring.declare()
        await declaring.declare()
        publisher = declaring
        if self.replicas > 1:
            await declaring.close()
            publisher = make_bus()
            await start(publisher)
        sent = event()
        assert await publisher.publish([sent], required=[sent.type]) == {sent.id}
        await publisher.close()

        consuming = make_bus()
        consuming.subscribe(Subscription("catalog.videos", ("video.*",)), got)
        await start(consuming)
        await eventually(lambda: got.ids == [sent.id])

    async def test_close_lets_handlers_finish(self, make_bus: Callable[[], Bus]) -> None:
        bus, got = make_bus(), Recorder(gate_open=False)
        bus.subscribe(Subscription("catalog.videos", ("#",)), got)
        await start(bus)
        await bus.publish([event()])
        await eventually(lambda: got.running == 1)
        closing = asyncio.create_task(bus.close())
        await asyncio.sleep(0)
        got.gate.set()
        await closing
        assert len(got.finished) == 1

        after, redelivered, marks = make_bus(), Recorder(), Recorder()
        after.subscribe(Subscription("catalog.videos", ("#",)), redelivered)
        after.subscribe(Subscription("catalog.mark", ("user.approved",)), marks)
        await start(after)
        await after.publish([event("user.approved")])
        await eventually(lambda: len(marks.finished) == 1 and len(redelivered.finished) >= 1)
        assert {each.type for each in redelivered.events} == {"user.approved"}

    async def test_close_is_harmless_twice_and_before_start(self, make_bus: Callable[[], Bus]) -> None:
        never_started, bus = make_bus(), make_bus()
        await never_started.close()
        await start(bus)
        await bus.close()
        await bus.close()

    # Misuse

    async def test_subscriptions_are_checked(self, make_bus: Callable[[], Bus]) -> None:
        bus = make_bus()
        bus.subscribe(Subscription("catalog.videos", ("#",)), Recorder())
        with pytest.raises(ValueError, match="already"):
            bus.subscribe(Subscription("catalog.videos", ("#",)), Recorder())
        with pytest.raises(ValueError, match="concurrency"):
            bus.subscribe(Subscription("catalog.other", ("#",), concurrency=0), Recorder())
        await start(bus)
        with pytest.raises(RuntimeError, match="before"):
            bus.subscribe(Subscription("catalog.late", ("#",)), Recorder())
