"""What every adapter of the bus port must do. An adapter's tests inherit `BusContract` and say how to make one."""

# ruff: noqa: D102, PLR2004, S101 - these are tests, though pytest collects them from elsewhere

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
import pytest_asyncio
import structlog
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue
from prometheus_client import REGISTRY

from kit.bus import Bus, Delivery, RejectEventError, Subscription
from kit.events.envelope import Event, MalformedEventError

DEADLINE_SEC = 60
"""Only a test that fails ever waits so long."""


async def eventually(condition: Callable[[], bool], within_sec: float = DEADLINE_SEC) -> None:
    """Waits until the condition holds; fails when it doesn't in time."""
    async with asyncio.timeout(within_sec):
        while not condition():  # noqa: ASYNC110 - conditions here are of any kind
            await asyncio.sleep(0.005)


async def eventually_equal(ask: Callable[[], Awaitable[int]], expected: int, within_sec: float = DEADLINE_SEC) -> None:
    """Waits until the answer is as expected; fails with the last one when it isn't in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_sec
    while (answer := await ask()) != expected and loop.time() < deadline:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0.02)
    assert answer == expected


def event(type: str = "video.uploaded", body: bytes = b"{}", subject: str = "v1") -> Event:  # noqa: A002
    """An event that is like any other."""
    return Event(type=type, source="test", subject=subject, body=body)


class Recorder:
    """A handler that remembers: what it got, how many at a time. Closed gates hold it up."""

    def __init__(self, *, gate_open: bool = True) -> None:
        self.events: list[Event] = []
        self.finished: list[Event] = []
        self.running = 0
        self.most_running = 0
        self.gate = asyncio.Event()
        if gate_open:
            self.gate.set()

    @property
    def ids(self) -> list[str]:
        """Of all events it got, in order."""
        return [each.id for each in self.events]

    async def __call__(self, received: Event) -> None:
        self.events.append(received)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
            self.finished.append(received)
        finally:
            self.running -= 1


class Failing(Recorder):
    """Fails a number of times with this error, then works. Notes when it was called."""

    def __init__(self, error: Exception, times: int = 1_000_000) -> None:
        super().__init__()
        self.called_at: list[float] = []
        self._error = error
        self._times = times

    async def __call__(self, received: Event) -> None:
        self.called_at.append(asyncio.get_running_loop().time())
        await super().__call__(received)
        if len(self.events) <= self._times:
            raise self._error


async def start(*buses: Bus) -> None:
    """Starts buses and waits until all are connected."""
    for bus in buses:
        await bus.start()
    for bus in buses:
        await eventually(bus.is_connected)


@pytest.mark.asyncio
class BusContract:
    """Tests of a bus. A subclass provides `new_bus`."""

    replicas = 2
    """How many buses may share the work; 1 for an adapter that lives in one process."""

    def new_bus(self) -> Bus:
        """Another process's bus, of the same installation as all others in this test."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def make_bus(self) -> AsyncIterator[Callable[[], Bus]]:
        made: list[Bus] = []

        def make() -> Bus:
            made.append(self.new_bus())
            return made[-1]

        yield make
        for bus in made:
            await bus.close(drain_sec=0)

    # Who gets what

    async def test_each_work_subscription_gets_an_event_once(self, make_bus: Callable[[], Bus]) -> None:
        buses = [make_bus() for _ in range(self.replicas)]
        catalog, stream = Recorder(), Recorder()
        for bus in buses:
            bus.subscribe(Subscription("catalog.videos", ("video.uploaded",), concurrency=5), catalog)
            bus.subscribe(Subscription("stream.videos", ("video.uploaded",), concurrency=5), stream)
        await start(*buses)
        sent = [event() for _ in range(20)]
        assert await buses[0].publish(sent) == {each.id for each in sent}
        await eventually(lambda: len(catalog.finished) >= 20 and len(stream.finished) >= 20)
        await asyncio.gather(*(bus.close() for bus in buses))
        assert sorted(catalog.ids) == sorted(stream.ids) == sorted(each.id for each in sent)

    @pytest.mark.parametrize(
        ("pattern", "wanted"),
        [
            ("media.*", {"media.probed"}),
            ("#", {"media", "media.probed", "media.probed.late", "video.ready"}),
            ("media.#", {"media", "media.probed", "media.probed.late"}),
            ("*.ready", {"video.ready"}),
            ("#.late", {"media.probed.late"}),
            ("media.*.late", {"media.probed.late"}),
        ],
    )
    async def test_patterns(self, make_bus: Callable[[], Bus], pattern: str, wanted: set[str]) -> None:
        bus, got, marks = make_bus(), Recorder(), Recorder()
        bus.subscribe(Subscription("catalog.some", (pattern,), concurrency=10), got)
        bus.subscribe(Subscription("catalog.mark", ("mark",)), marks)
        await start(bus)
        await bus.publish([event(each) for each in ("media", "media.probed", "media.probed.late", "video.ready")])
        await bus.publish([event("mark")])
        await eventually(lambda: len(marks.finished) == 1 and len(got.finished) >= len(wanted))
        assert {each.type for each in got.events} - {"mark"} == wanted

    async def test_an_event_that_two_patterns_cover_comes_once(self, make_bus: Callable[[], Bus]) -> None:
        bus, got = make_bus(), Recorder()
        bus.subscribe(Subscription("catalog.some", ("video.*", "#", "video.uploaded")), got)
        await start(bus)
        sent = [event(), event()]
        await bus.publish(sent)
        await eventually(lambda: len(got.finished) >= 2)
        await bus.close()
        assert Counter(got.ids) == Counter(each.id for each in sent)

    async def test_a_broadcast_reaches_every_process(self, make_bus: Callable[[], Bus]) -> None:
        buses = [make_bus() for _ in range(self.replicas)]
        caches = [Recorder() for _ in buses]
        for bus, cache in zip(buses, caches, strict=True):
            bus.subscribe(Subscription("stream.cache", ("video.*",), Delivery.BROADCAST), cache)
        await start(*buses)
        sent = [event(), event("video.purged")]
        await buses[0].publish([*sent, event("user.deleted")])
        for cache in caches:
            await eventually(lambda cache=cache: len(cache.finished) == 2)  # type: ignore[misc]
            assert {each.id for each in cache.events} == {each.id for each in sent}

    async def test_a_failing_broadcast_is_not_repeated_and_blocks_nothing(self, make_bus: Callable[[], Bus]) -> None:
        bus, cache = make_bus(), Failing(ValueError("no"), times=1)
        bus.subscribe(Subscription("stream.cache", ("#",), Delivery.BROADCAST, retry_delays_sec=(0.01,)), cache)
        await start(bus)
        sent = [event(), event()]
        for each in sent:
            await bus.publish([each])
        await eventually(lambda: len(cache.events) == 2)
        assert cache.ids == [each.id for each in sent]
        assert await bus.dead_letters() == []

    # What travels

    async def test_all_of_the_envelope_arrives(self, make_bus: Callable[[], Bus]) -> None:
        bus, got = make_bus(), Recorder()
        bus.subscribe(Subscription("catalog.all", ("#",)), got)
        await start(bus)
        sent = [
            Event(
                type="video.uploaded",
                source="카탈로그",
                subject="영상-1 🎬",
                body='{"title": "기생충 \\u0000 🎬"}'.encode(),
                version=2**40,
                time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=9))),
                traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                request_id="req-1",
            ),
            Event(type="video.ready", source="test", subject="", body=b"", time=datetime(1970, 1, 1, tzinfo=UTC)),
            Event(type="video.ready", source="test", subject="s", body=bytes(range(256)) * 4096),
        ]
        await bus.publish(sent)
        await eventually(lambda: len(got.finished) == 3)
        assert {each.id: each for each in got.events} == {each.id: each for each in sent}

    async def test_fields_from_a_newer_release_are_ignored(self, make_bus: Callable[[], Bus]) -> None:
        bus, texts = make_bus(), list[str]()

        async def read(received: Event) -> None:
            texts.append(received.read(Struct).fields["known"].string_value)

        bus.subscribe(Subscription("catalog.videos", ("#",)), read)
        await start(bus)
        await bus.publish([event(body='{"known": "예", "new": {"deep": [1]}}'.encode())])
        await eventually(lambda: texts == ["예"])

    async def test_a_handler_logs_with_the_ids_of_its_event(self, make_bus: Callable[[], Bus]) -> None:
        bus, contexts = make_bus(), list[dict[str, object]]()

        async def note(_: Event) -> None:
            contexts.append(structlog.contextvars.get_contextvars())

        bus.subscribe(Subscription("catalog.videos", ("#",)), note)
        await start(bus)
        sent = Event(type="a.b", source="s", subject="1", body=b"{}", traceparent="00-1-2-03", request_id="r1")
        await bus.publish([sent])
        await eventually(lambda: len(contexts) == 1)
        expected = {"request_id": "r1", "traceparent": "00-1-2-03", "event_id": sent.id, "attempt": 1}
        assert expected.items() <= contexts[0].items()
        assert "event_id" not in structlog.contextvars.get_contextvars()

    # When it fails

    async def test_failures_are_retried_after_their_delays_then_dead(self, make_bus: Callable[[], Bus]) -> None:
        bus, got = make_bus(), Failing(ValueError("disk on fire"))
        bus.subscribe(Subscription("catalog.videos", ("#",), retry_delays_sec=(0.3, 0.02, 0.15)), got)
        await start(bus)
        sent = event()
        await bus.publish([sent])
        await eventually_equal(lambda: _dead(bus), 1)
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

    @pytest.mark.parametrize("error", [RejectEventError("not for us"), MalformedEventError("no video")])
    async def test_what_can_never_work_is_dead_at_once(self, make_bus: Callable[[], Bus], error: Exception) -> None:
        bus, got = make_bus(), Failing(error)
        bus.subscribe(Subscription("catalog.videos", ("#",)), got)
        await start(bus)
        await bus.publish([event()])
        await eventually_equal(lambda: _dead(bus), 1)
        (letter,) = await bus.dead_letters()
        assert letter.attempts == len(got.events) == 1
        assert letter.reason == f"{type(error).__name__}: {error}"

    async def test_a_body_that_is_no_message_is_dead_at_once(self, make_bus: Callable[[], Bus]) -> None:
        bus = make_bus()

        async def read(received: Event) -> None:
            received.read(StringValue)

        bus.subscribe(Subscription("catalog.videos", ("#",)), read)
        await start(bus)
        await bus.publish([event(body=b"\xff\xfe"), event(body=b"{"), event(body=b"[]")])
        await eventually_equal(lambda: _dead(bus), 3)

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

    # How many at a time

    async def test_concurrency_is_used_and_never_exceeded(self, make_bus: Callable[[], Bus]) -> None:
        bus, got = make_bus(), Recorder(gate_open=False)
        bus.subscribe(Subscription("catalog.videos", ("#",), concurrency=3), got)
        await start(bus)
        await bus.publish([event() for _ in range(30)])
        await eventually(lambda: got.running == 3)
        got.gate.set()
        await eventually(lambda: len(got.finished) == 30)
        assert got.most_running == 3

    async def test_many_events_are_all_handled_exactly_once(self, make_bus: Callable[[], Bus]) -> None:
        buses, got = [make_bus() for _ in range(self.replicas)], Recorder()
        for bus in buses:
            bus.subscribe(Subscription("catalog.videos", ("video.*",), concurrency=50), got)
        await start(*buses)
        sent = [event() for _ in range(2000)]
        batches = [sent[first : first + 100] for first in range(0, 2000, 100)]
        taken = await asyncio.gather(*(buses[0].publish(batch) for batch in batches))
        assert frozenset().union(*taken) == {each.id for each in sent}
        await eventually(lambda: len(got.finished) >= 2000)
        await asyncio.gather(*(bus.close() for bus in buses))
        assert Counter(got.ids) == Counter(each.id for each in sent)

    # What the publisher learns

    async def test_a_type_that_nobody_wants_is_confirmed(self, make_bus: Callable[[], Bus]) -> None:
        bus = make_bus()
        bus.subscribe(Subscription("catalog.videos", ("video.*",)), Recorder())
        await start(bus)
        sent = event("points.granted")
        assert await bus.publish([sent], required=["video.uploaded"]) == {sent.id}

    async def test_a_required_type_needs_a_work_queue(self, make_bus: Callable[[], Bus]) -> None:
        bus, cache = make_bus(), Recorder()
        bus.subscribe(Subscription("catalog.videos", ("video.uploaded",)), Recorder())
        bus.subscribe(Subscription("stream.cache", ("#",), Delivery.BROADCAST), cache)
        await start(bus)
        wanted, unwanted, optional = event(), event("video.purged"), event("video.ready")
        taken = await bus.publish([wanted, unwanted, optional], required={"video.uploaded", "video.purged"})
        assert taken == {wanted.id, optional.id}
        await eventually(lambda: optional.id in cache.ids)

    async def test_nothing_can_be_published_empty_handed(self, make_bus: Callable[[], Bus]) -> None:
        bus = make_bus()
        await start(bus)
        assert await bus.publish([]) == frozenset()

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
        await eventually_equal(lambda: _dead(second), 1)
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
        after.subscribe(Subscription("catalog.mark", ("mark",)), marks)
        await start(after)
        await after.publish([event("mark")])
        await eventually(lambda: len(marks.finished) == 1 and len(redelivered.finished) >= 1)
        assert {each.type for each in redelivered.events} == {"mark"}

    async def test_close_is_harmless_twice_and_before_start(self, make_bus: Callable[[], Bus]) -> None:
        never_started, bus = make_bus(), make_bus()
        await never_started.close()
        await start(bus)
        await bus.close()
        await bus.close()

    # Dead letters

    async def test_dead_letters_are_listed_without_being_lost(self, make_bus: Callable[[], Bus]) -> None:
        bus = make_bus()
        bus.subscribe(Subscription("catalog.videos", ("video.*",)), Failing(RejectEventError("no")))
        bus.subscribe(Subscription("stream.videos", ("video.ready",)), Failing(RejectEventError("never")))
        await start(bus)
        sent = []
        for kind in ("video.uploaded", "video.purged", "video.ready"):
            sent.append(event(kind))
            await bus.publish(sent[-1:])
            await eventually_equal(lambda: _dead(bus), len(sent) + (kind == "video.ready"))
        # More often than the 20 deliveries after which RabbitMQ 4 drops a message, unless told otherwise.
        for _ in range(25):
            letters = await bus.dead_letters("catalog.videos")
            assert [each.event for each in letters] == sent
        assert [each.event for each in await bus.dead_letters("catalog.videos", limit=2)] == sent[:2]
        assert [each.event for each in await bus.dead_letters("stream.videos")] == sent[2:]
        assert len(await bus.dead_letters(limit=3)) == 3
        assert await bus.dead_letters("progress.none") == []

    async def test_replay_returns_chosen_letters_to_their_subscription_only(self, make_bus: Callable[[], Bus]) -> None:
        bus, failing, other = make_bus(), Failing(RejectEventError("no"), times=3), Recorder()
        bus.subscribe(Subscription("catalog.videos", ("#",)), failing)
        bus.subscribe(Subscription("stream.videos", ("#",)), other)
        await start(bus)
        sent = [event() for _ in range(3)]
        await bus.publish(sent)
        await eventually_equal(lambda: _dead(bus), 3)

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
        await eventually_equal(lambda: _dead(bus), 1)
        assert await bus.replay("catalog.videos") == 1
        await eventually(lambda: len(failing.events) == 4)
        await eventually_equal(lambda: _dead(bus), 1)
        (letter,) = await bus.dead_letters()
        assert letter.attempts == 2

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


async def _dead(bus: Bus) -> int:
    return len(await bus.dead_letters())
