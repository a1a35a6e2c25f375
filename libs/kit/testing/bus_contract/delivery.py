"""Who gets which event, when, and what the publisher learns."""

# ruff: noqa: D102, PLR2004, S101 - these are tests, though pytest collects them from elsewhere

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
import structlog

from kit.bus import Bus, Delivery, Subscription
from kit.events.envelope import Event
from kit.testing.bus_contract.harness import (
    BusHarness,
    Failing,
    Recorder,
    event,
    eventually,
    start,
)
from marquee.events.v1 import video_pb2


@pytest.mark.asyncio
class DeliveryContract(BusHarness):
    """Events reach those who subscribed."""

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
            ("#.probed", {"media.probed"}),
            ("media.#.probed", {"media.probed"}),
        ],
    )
    async def test_patterns(self, make_bus: Callable[[], Bus], pattern: str, wanted: set[str]) -> None:
        bus, got, marks = make_bus(), Recorder(), Recorder()
        bus.subscribe(Subscription("catalog.some", (pattern,), concurrency=10), got)
        bus.subscribe(Subscription("catalog.mark", ("user.approved",)), marks)
        await start(bus)
        await bus.publish([event(each) for each in ("media", "media.probed", "media.probed.late", "video.ready")])
        await bus.publish([event("user.approved")])
        await eventually(lambda: len(marks.finished) == 1 and len(got.finished) >= len(wanted))
        assert {each.type for each in got.events} - {"user.approved"} == wanted

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
            texts.append(received.read(video_pb2.VideoReady).title)

        bus.subscribe(Subscription("catalog.videos", ("#",)), read)
        await start(bus)
        await bus.publish([event("video.ready", body='{"title": "예", "new": {"deep": [1]}}'.encode())])
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

    async def test_confirms_a_type_without_a_subscription(self, make_bus: Callable[[], Bus]) -> None:
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
