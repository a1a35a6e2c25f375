"""The bus over a real broker that is cut off, frozen, short of memory or killed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio

from kit.bus import BusUnavailableError, Delivery, Subscription
from kit.bus.rabbit import RabbitBus
from kit.events.envelope import Event
from kit.testing.bus_contract import DEADLINE_SEC, Failing, Recorder, event, eventually, eventually_equal, start
from kit.testing.servers import RabbitServer

Make = Callable[..., RabbitBus]


class Wire:
    """A proxy in front of the broker whose connections can be cut or frozen."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Ends all connections at once, from both sides' view the other's doing."""
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._ends |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()


@pytest_asyncio.fixture
async def wire(broker: RabbitServer) -> AsyncIterator[Wire]:
    proxy = Wire(broker.port)
    await proxy.open()
    yield proxy
    await proxy.close()


@pytest.fixture
def name() -> str:
    """What the exchanges and queues of this test begin with."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest_asyncio.fixture
async def make_bus(broker: RabbitServer, name: str) -> AsyncIterator[Make]:
    made: list[RabbitBus] = []

    def make(wire: Wire | None = None, query: str = "", **options: Any) -> RabbitBus:
        url = f"amqp://guest:guest@127.0.0.1:{wire.port if wire else broker.port}/{query}"
        made.append(RabbitBus(url, service="test", exchange=name, prefix=f"{name}.", **options))
        return made[-1]

    yield make
    await asyncio.gather(*(bus.close(drain_sec=0) for bus in made))


async def publish_somehow(bus: RabbitBus, events: list[Event]) -> None:
    """As the relay of an outbox does it: again and again, until all of them are taken."""
    left = {each.id: each for each in events}
    async with asyncio.timeout(2 * DEADLINE_SEC):
        while left:
            try:
                for taken in await bus.publish(list(left.values())):
                    del left[taken]
            except BusUnavailableError:
                await asyncio.sleep(0.05)


def messages_in(broker: RabbitServer, queue: str) -> int:
    """All messages of a queue, also those on their way out of it, which clients don't see."""
    answer = broker.evaluate(
        f'{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{queue}">>)), '
        "[{messages, Count}] = rabbit_amqqueue:info(Queue, [messages]), Count."
    )
    return int(answer.removeprefix("{ok, ").removesuffix("}"))


async def test_an_ack_after_a_reconnect_is_harmless(make_bus: Make, wire: Wire) -> None:
    bus, got = make_bus(wire), Recorder(gate_open=False)
    bus.subscribe(Subscription("catalog.media", ("media.*",)), got)
    await start(bus)
    first, second = event("media.probed"), event("media.probed")
    await bus.publish([first])
    await eventually(lambda: got.running == 1)
    wire.cut()
    await eventually(lambda: not bus.is_connected())
    await eventually(bus.is_connected)
    # The first is redelivered, but not handled beside itself: one at a time, also across connections.
    got.gate.set()
    await eventually(lambda: got.ids == [first.id, first.id])
    await bus.publish([second])
    await eventually(lambda: got.ids == [first.id, first.id, second.id])
    assert got.most_running == 1
    assert bus.is_connected()


async def test_results_of_a_lost_connection_are_dropped(make_bus: Make, wire: Wire) -> None:
    bus, got = make_bus(wire), Failing(ValueError("no"), times=1)
    got.gate.clear()
    bus.subscribe(Subscription("catalog.media", ("media.*",), retry_delays_sec=(0.05,)), got)
    await start(bus)
    await bus.publish([event("media.probed")])
    await eventually(lambda: got.running == 1)
    wire.cut()
    await eventually(lambda: not bus.is_connected())
    await eventually(bus.is_connected)
    got.gate.set()
    await eventually(lambda: len(got.events) == 2)
    await bus.close()
    # The failure was not turned into a retry: the redelivery was that.
    assert len(got.events) == 2


async def test_reports_a_reconnect_after_broadcasts_are_received_again(make_bus: Make, wire: Wire) -> None:
    bus, cache, drops = make_bus(wire), Recorder(), list[int]()
    publisher = make_bus()
    bus.subscribe(Subscription("stream.cache", ("#",), Delivery.BROADCAST), cache)
    bus.subscribe(Subscription("stream.sessions", ("#",), Delivery.BROADCAST), Recorder())
    bus.on_reconnect(lambda: drops.append(len(cache.events)))
    await start(bus, publisher)
    await eventually(lambda: drops == [0])
    for round_ in (1, 2):
        await publisher.publish([event()])
        await eventually(lambda: len(cache.finished) == round_)  # noqa: B023
        wire.cut()
        await eventually(lambda: len(drops) == 1 + round_)  # noqa: B023
        assert drops[-1] == round_
    await eventually(bus.is_connected)


async def test_a_confirm_that_does_not_come_is_unavailable(make_bus: Make, wire: Wire) -> None:
    bus = make_bus(wire, confirm_sec=0.3)
    await start(bus)
    wire.freeze()
    with pytest.raises(BusUnavailableError, match=r"no confirm within 0\.3 s"):
        await bus.publish([event()])
    wire.thaw()
    await publish_somehow(bus, [event()])


async def test_publishing_over_a_wire_that_is_cut(make_bus: Make, wire: Wire) -> None:
    publisher, consumer, got = make_bus(wire), make_bus(wire), Recorder()
    consumer.subscribe(Subscription("catalog.media", ("#",), concurrency=20), got)
    await start(publisher, consumer)
    sent = [event() for _ in range(600)]

    async def cut() -> None:
        for target in (50, 200, 400):
            await eventually(lambda: len(got.events) >= target)  # noqa: B023
            wire.cut()

    cutting = asyncio.create_task(cut())
    for first in range(0, 600, 20):
        await publish_somehow(publisher, sent[first : first + 20])
    await cutting
    await eventually(lambda: {each.id for each in sent} <= {each.id for each in got.finished})


async def test_a_long_handler_keeps_its_event(make_bus: Make) -> None:
    bus, calls = make_bus(query="?heartbeat=1"), list[str]()

    async def blocks_the_loop(received: Event) -> None:
        calls.append(received.id)
        if len(calls) == 1:
            # As bad as it gets: nothing else on the loop runs, for several heartbeats.
            time.sleep(4)  # noqa: ASYNC251

    bus.subscribe(Subscription("thumbnailer.jobs", ("video.uploaded",)), blocks_the_loop)
    await start(bus)
    sent = [event(), event()]
    await bus.publish(sent[:1])
    await eventually(lambda: len(calls) == 1)
    await bus.publish(sent[1:])
    await eventually(lambda: len(calls) == 2)
    await bus.close()
    assert Counter(calls) == Counter(each.id for each in sent)


async def test_a_broker_short_of_memory(make_bus: Make, broker: RabbitServer) -> None:
    bus, got = make_bus(confirm_sec=0.5), Recorder(gate_open=False)
    bus.subscribe(Subscription("catalog.media", ("#",)), got)
    await start(bus)
    await bus.publish([event()])
    await eventually(lambda: got.running == 1)
    broker.evaluate("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).")
    try:
        with pytest.raises(BusUnavailableError):
            await bus.publish([event()])
        await eventually(lambda: not bus.is_connected())
        with pytest.raises(BusUnavailableError, match="takes no messages"):
            await bus.publish([event()])
        # Acknowledging goes on: the second event, which waited at the broker, can come only after it.
        got.gate.set()
        await eventually(lambda: len(got.finished) >= 1)
    finally:
        broker.evaluate("rabbit_alarm:clear_alarm({resource_limit, memory, node()}).")
    await eventually(bus.is_connected)
    await bus.publish([event()])
    await eventually(lambda: len(got.finished) >= 2)


async def test_a_broker_killed_in_the_middle_of_everything(make_bus: Make, broker: RabbitServer, name: str) -> None:
    publisher, consumer = make_bus(confirm_sec=2), make_bus()
    stuck, got, failing = Recorder(gate_open=False), Recorder(), Failing(ValueError("no"))
    consumer.subscribe(Subscription("thumbnailer.jobs", ("video.process_requested",), concurrency=2), stuck)
    consumer.subscribe(Subscription("catalog.media", ("video.*",), concurrency=10), got)
    consumer.subscribe(Subscription("stream.media", ("media.failed",), retry_delays_sec=(1,)), failing)
    drops: list[str] = []
    consumer.on_reconnect(lambda: drops.append("caches"))
    await start(publisher, consumer)
    jobs = [event("video.process_requested") for _ in range(4)]
    await publisher.publish([*jobs, event("media.failed")])
    await eventually(lambda: stuck.running == 2 and len(failing.events) == 1 and len(drops) == 1)
    sent = [event() for _ in range(1000)]

    async def publish() -> None:
        for first in range(0, 1000, 50):
            await publish_somehow(publisher, sent[first : first + 50])

    publishing = asyncio.create_task(publish())
    await eventually(lambda: len(got.events) >= 100)
    # RabbitMQ notes which quorum queues it has half a second late, and forgets a younger one when it is killed.
    broker.evaluate("dets:sync(ra_directory_reverse).")
    await asyncio.to_thread(broker.kill)
    await eventually(lambda: not publisher.is_connected() and not consumer.is_connected())
    with pytest.raises(BusUnavailableError):
        await publisher.publish([event()])
    await asyncio.to_thread(broker.start)
    await publishing
    await eventually(consumer.is_connected)
    stuck.gate.set()

    await eventually(lambda: {each.id for each in sent} <= {each.id for each in got.finished})
    await eventually(lambda: {each.id for each in jobs} <= {each.id for each in stuck.finished})
    assert stuck.most_running == 2
    assert len(drops) >= 2

    # Back from its delay at once; or, when that ended before all queues had recovered, after the three minutes in which
    # the broker waits for its own confirm. Until then the waiting queue still counts it.
    waiting = f"{name}.stream.media.retry.1000"

    async def kept() -> int:
        letters = await consumer.dead_letters("stream.media")
        return len(letters) or messages_in(broker, waiting)

    await eventually_equal(kept, 1)
