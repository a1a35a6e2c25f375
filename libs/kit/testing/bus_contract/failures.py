"""What happens to an event whose handler fails."""

# ruff: noqa: D102, PLR2004, S101 - these are tests, though pytest collects them from elsewhere

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from kit.bus import Bus, RejectedEventError, Subscription
from kit.events.envelope import Event, MalformedEventError
from kit.testing.bus_contract.harness import (
    DEADLINE_SEC,
    BusHarness,
    Failing,
    Recorder,
    count_dead,
    event,
    eventually,
    eventually_equal,
    start,
)
from marquee.events.v1 import video_pb2


@pytest.mark.asyncio
class FailureContract(BusHarness):
    """Failures are retried, then dead letters that can be replayed."""

    # When it fails

    async def test_failures_are_retried_after_their_delays_then_dead(self, make_bus: Callable[[], Bus]) -> None:
        bus, got = make_bus(), Failing(ValueError("disk on fire"))
        bus.subscribe(Subscription("catalog.videos", ("#",), retry_delays_sec=(0.3, 0.02, 0.15)), got)
        await start(bus)
        sent = event()
        await bus.publish([sent])
        await eventually_equal(lambda: count_dead(bus), 1)
        waits = [later - earlier for earlier, later in zip(got.called_at, got.called_at[1:], strict=False)]
        assert len(waits) == 3
        assert waits[0] >= 0.29
        assert 0.01 < waits[1] < 0.29
        assert waits[2] >= 0.14
        assert set(got.ids) == {sent.id}
        (letter,) = await bus.dead_letters()
        assert letter.subscription == "catalog.videos"
        assert letter.event == sent
        assert letter.attempts == 4
        assert letter.reason == "ValueError: disk on fire"
        assert abs(datetime.now(UTC) - letter.died_at) < timedelta(seconds=DEADLINE_SEC)

    async def test_a_retry_returns_to_its_own_subscription_only(self, make_bus: Callable[[], Bus]) -> None:
        bus, failing, other = make_bus(), Failing(ValueError("no"), times=2), Recorder()
        bus.subscribe(Subscription("catalog.videos", ("#",), retry_delays_sec=(0.01, 0.01)), failing)
        bus.subscribe(Subscription("stream.videos", ("#",), retry_delays_sec=(0.01, 0.01)), other)
        await start(bus)
        await bus.publish([event()])
        await eventually(lambda: len(failing.events) == 3 and len(other.finished) == 1)
        await bus.close()
        assert len(failing.events) == 3
        assert len(other.events) == 1

    @pytest.mark.parametrize("error", [RejectedEventError("not for us"), MalformedEventError("no video")])
    async def test_what_can_never_work_is_dead_at_once(self, make_bus: Callable[[], Bus], error: Exception) -> None:
        bus, got = make_bus(), Failing(error)
        bus.subscribe(Subscription("catalog.videos", ("#",)), got)
        await start(bus)
        await bus.publish([event()])
        await eventually_equal(lambda: count_dead(bus), 1)
        (letter,) = await bus.dead_letters()
        assert letter.attempts == len(got.events) == 1
        assert letter.reason == f"{type(error).__name__}: {error}"

    async def test_a_body_that_is_no_message_is_dead_at_once(self, make_bus: Callable[[], Bus]) -> None:
        bus = make_bus()

        async def read(received: Event) -> None:
            received.read(video_pb2.VideoUploaded)

        bus.subscribe(Subscription("catalog.videos", ("#",)), read)
        await start(bus)
        await bus.publish([event(body=b"\xff\xfe"), event(body=b"{"), event(body=b"[1]")])
        await eventually_equal(lambda: count_dead(bus), 3)

    async def test_a_poisonous_event_blocks_no_other(self, make_bus: Callable[[], Bus]) -> None:
        bus, poison, handled = make_bus(), event(subject="poison"), list[str]()

        async def handle(received: Event) -> None:
            if received.subject == "poison":
                raise ValueError("poison")
            handled.append(received.id)

        bus.subscribe(Subscription("catalog.videos", ("#",), retry_delays_sec=(60,)), handle)
        await start(bus)
        others = [event() for _ in range(10)]
        await bus.publish([poison, *others])
        await eventually(lambda: len(handled) == 10)

    async def test_a_cancelled_call_inside_a_handler_is_a_failure(self, make_bus: Callable[[], Bus]) -> None:
        bus, got = make_bus(), Recorder()

        async def handle(received: Event) -> None:
            await got(received)
            if len(got.events) == 1:
                raise asyncio.CancelledError

        bus.subscribe(Subscription("catalog.videos", ("#",), retry_delays_sec=(0.01,)), handle)
        await start(bus)
        await bus.publish([event()])
        await eventually(lambda: len(got.events) == 2)

    async def test_outcomes_are_counted(self, make_bus: Callable[[], Bus]) -> None:
        def count(outcome: str) -> float:
            labels = {"subscription": name, "outcome": outcome}
            return REGISTRY.get_sample_value("bus_events_total", labels) or 0

        bus, name = make_bus(), f"catalog.counted_{type(self).__name__}".lower()
        bus.subscribe(Subscription(name, ("#",), retry_delays_sec=(0.01,)), Failing(ValueError(), times=3))
        await start(bus)
        assert REGISTRY.get_sample_value("bus_connected") == 1
        await bus.publish([event()])
        await eventually(lambda: count("dead") == 1)
        assert count("retried") == 1
        await bus.publish([event()])
        await eventually(lambda: count("done") == 1)
        assert REGISTRY.get_sample_value("bus_handling_seconds_count", {"subscription": name}) == 4
        await bus.close()
        assert REGISTRY.get_sample_value("bus_connected") == 0

    # Dead letters

    async def test_dead_letters_are_listed_without_being_lost(self, make_bus: Callable[[], Bus]) -> None:
        bus = make_bus()
        bus.subscribe(Subscription("catalog.videos", ("video.*",)), Failing(RejectedEventError("no")))
        bus.subscribe(Subscription("stream.videos", ("video.ready",)), Failing(RejectedEventError("never")))
        await start(bus)
        sent = []
        for kind in ("video.uploaded", "video.purged", "video.ready"):
            sent.append(event(kind))
            await bus.publish(sent[-1:])
            await eventually_equal(lambda: count_dead(bus), len(sent) + (kind == "video.ready"))
        # More often than the 20 deliveries after which RabbitMQ 4 drops a message by default.
        for _ in range(25):
            letters = await bus.dead_letters("catalog.videos")
            assert [each.event for each in letters] == sent
        assert [each.event for each in await bus.dead_letters("catalog.videos", limit=2)] == sent[:2]
        assert [each.event for each in await bus.dead_letters("stream.videos")] == sent[2:]
        assert len(await bus.dead_letters(limit=3)) == 3
        assert await bus.dead_letters("progress.none") == []

    async def test_replay_returns_chosen_letters_to_their_subscription_only(self, make_bus: Callable[[], Bus]) -> None:
        bus, failing, other = make_bus(), Failing(RejectedEventError("no"), times=3), Recorder()
        bus.subscribe(Subscription("catalog.videos", ("#",)), failing)
        bus.subscribe(Subscription("stream.videos", ("#",)), other)
        await start(bus)
        sent = [event() for _ in range(3)]
        await bus.publish(sent)
        await eventually_equal(lambda: count_dead(bus), 3)

        assert await bus.replay("catalog.videos", [sent[1].id, "unknown"]) == 1
        await eventually(lambda: len(failing.events) == 4)
        assert failing.events[3] == sent[1]
        assert {each.event.id for each in await bus.dead_letters()} == {sent[0].id, sent[2].id}

        assert await bus.replay("catalog.videos") == 2
        await eventually(lambda: len(failing.events) == 6)
        assert await bus.dead_letters() == []
        assert await bus.replay("catalog.videos") == 0
        assert await bus.replay("progress.none") == 0
        assert len(other.events) == 3

    async def test_replay_forgets_the_attempts(self, make_bus: Callable[[], Bus]) -> None:
        bus, failing = make_bus(), Failing(ValueError("no"))
        bus.subscribe(Subscription("catalog.videos", ("#",), retry_delays_sec=(0.01,)), failing)
        await start(bus)
        await bus.publish([event()])
        await eventually_equal(lambda: count_dead(bus), 1)
        assert await bus.replay("catalog.videos") == 1
        await eventually(lambda: len(failing.events) == 4)
        await eventually_equal(lambda: count_dead(bus), 1)
        (letter,) = await bus.dead_letters()
        assert letter.attempts == 2

    async def test_a_bus_without_subscriptions_lists_and_replays_by_name(self, make_bus: Callable[[], Bus]) -> None:
        bus, failing, operator = make_bus(), Failing(RejectedEventError("no"), times=1), make_bus()
        bus.subscribe(Subscription("catalog.videos", ("#",)), failing)
        await start(bus)
        sent = event(body=b'{"video_id": "v1"}')
        await bus.publish([sent])
        await eventually_equal(lambda: count_dead(bus), 1)
        (letter,) = await operator.dead_letters("catalog.videos")
        assert letter.event == sent
        assert await operator.replay("catalog.videos", [sent.id]) == 1
        await eventually(lambda: len(failing.events) == 2)
        assert await operator.dead_letters("catalog.videos") == []
