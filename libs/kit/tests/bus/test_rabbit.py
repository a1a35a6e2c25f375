"""The bus over a real broker: the contract, what is on the wire, and the queues as they were designed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast
from unittest.mock import AsyncMock

import pytest
import pytest_asyncio
from pika import BasicProperties, BlockingConnection, URLParameters
from pika.adapters.blocking_connection import BlockingChannel

from kit.bus import BusUnavailableError, RejectedEventError, Subscription
from kit.bus.handling import Registration
from kit.bus.rabbit import RabbitBus, consumer
from kit.bus.rabbit.connection import Backoff, parameters
from kit.bus.rabbit.consumer import Received, Worker
from kit.bus.rabbit.publisher import PublishResult
from kit.bus.rabbit.topology import Topology
from kit.events.envelope import Event
from kit.testing.bus_contract import BusContract, Failing, Recorder, event, eventually, eventually_equal, start
from kit.testing.servers import RabbitServer, free_port

Make = Callable[..., RabbitBus]


class TestRabbitBus(BusContract):
    @pytest.fixture(autouse=True)
    def _broker(self, broker: RabbitServer) -> None:
        self.url = broker.url
        self.name = f"t{uuid.uuid4().hex[:8]}"

    def new_bus(self) -> RabbitBus:
        # Patient: on a busy machine a late confirm would mean publishing again, and an event more than was sent.
        return RabbitBus(self.url, service="test", exchange=self.name, prefix=f"{self.name}.", confirm_sec=60)


@pytest.fixture
def name() -> str:
    """What the exchanges and queues of this test begin with."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest_asyncio.fixture
async def make_bus(broker: RabbitServer, name: str) -> AsyncIterator[Make]:
    made: list[RabbitBus] = []

    def make(url: str = broker.url, **options: Any) -> RabbitBus:
        made.append(RabbitBus(url, service="test", exchange=name, prefix=f"{name}.", **options))
        return made[-1]

    yield make
    for bus in made:
        await bus.close(drain_sec=0)


@pytest.fixture
def channel(broker: RabbitServer) -> Iterator[BlockingChannel]:
    """The broker as others see it."""
    with BlockingConnection(URLParameters(broker.url)) as connection:
        yield connection.channel()


async def dead(bus: RabbitBus) -> int:
    return len(await bus.dead_letters())


# On the wire


async def test_events_are_cloud_events_in_binary_mode(make_bus: Make, name: str, channel: BlockingChannel) -> None:
    bus = make_bus()
    await start(bus)
    channel.queue_declare("", exclusive=True)
    channel.queue_bind("", name, "video.#")
    sent = Event(
        type="video.uploaded",
        source="catalog",
        subject="v1",
        body='{"title": "기생충"}'.encode(),
        version=7,
        time=datetime(2026, 5, 4, 3, 2, 1, 5, tzinfo=UTC),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        request_id="req-1",
    )
    await bus.publish([sent, event("video.ready", subject="")])
    method, properties, body = channel.basic_get("", auto_ack=True)
    assert method
    assert properties
    assert (method.exchange, method.routing_key, body) == (name, "video.uploaded", sent.body)
    assert properties.headers == {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:id": sent.id,
        "cloudEvents:type": "video.uploaded",
        "cloudEvents:source": "catalog",
        "cloudEvents:subject": "v1",
        "cloudEvents:time": "2026-05-04T03:02:01.000005+00:00",
        "cloudEvents:version": 7,
        "cloudEvents:traceparent": sent.traceparent,
        "cloudEvents:requestid": "req-1",
    }
    assert properties.content_type == "application/json"
    assert properties.delivery_mode == 2
    assert (properties.message_id, properties.type, properties.app_id) == (sent.id, "video.uploaded", "catalog")
    assert properties.timestamp == int(sent.time.timestamp())
    _, properties, _ = channel.basic_get("", auto_ack=True)
    assert properties
    assert not {"cloudEvents:subject", "cloudEvents:traceparent", "cloudEvents:requestid"} & properties.headers.keys()


async def test_queues_are_as_designed(make_bus: Make, name: str, channel: BlockingChannel) -> None:
    bus = make_bus()
    bus.subscribe(Subscription("catalog.media", ("media.*",), retry_delays_sec=(1, 0.5, 1)), Recorder())
    await bus.declare()

    def check(queue: str, **arguments: object) -> None:
        # Declaring with other arguments than those it has is an error.
        spelled = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum", **spelled})

    queue = f"{name}.catalog.media"
    safely: dict[str, object] = {"dead_letter_strategy": "at-least-once", "overflow": "reject-publish"}
    check(queue, delivery_limit=100, dead_letter_exchange="", dead_letter_routing_key=f"{queue}.dead", **safely)
    for millis in (500, 1000):
        arguments = {"message_ttl": millis, "dead_letter_exchange": "", "dead_letter_routing_key": queue, **safely}
        check(f"{queue}.retry.{millis}", **arguments)
    check(f"{queue}.dead", delivery_limit=1_000_000_000)
    for exchange in (name, f"{name}.broadcast"):
        channel.exchange_declare(exchange, "topic", durable=True)


# What is no event of ours

FOREIGN = [
    (BasicProperties(), b"hello"),
    (BasicProperties(headers={"attempts": "many", "n": None, "d": datetime(2026, 1, 1, tzinfo=UTC)}), b""),
    (BasicProperties(headers={"cloudEvents:specversion": "1.0", "cloudEvents:id": 5}, message_id="m1"), b"{}"),
    (BasicProperties(headers={"cloudEvents:specversion": "2.0", "cloudEvents:id": "x"}), b"{}"),
    (
        BasicProperties(
            headers={
                "cloudEvents:specversion": "1.0",
                "cloudEvents:id": "1",
                "cloudEvents:type": "t",
                "cloudEvents:source": "s",
                "cloudEvents:time": "yesterday",
            }
        ),
        b"{}",
    ),
    (
        BasicProperties(
            headers={
                "cloudEvents:specversion": "1.0",
                "cloudEvents:id": "2",
                "cloudEvents:type": "t",
                "cloudEvents:source": "s",
                "cloudEvents:time": "2026-01-01T00:00:00",
            }
        ),
        b"{}",
    ),
]


async def test_foreign_messages_go_to_the_dead_letters(make_bus: Make, name: str, channel: BlockingChannel) -> None:
    bus, got = make_bus(), Recorder()
    bus.subscribe(Subscription("catalog.media", ("media.*",)), got)
    await start(bus)
    for properties, body in FOREIGN:
        channel.basic_publish(name, "media.probed", body, properties)
    sent = event("media.probed")
    await bus.publish([sent])
    await eventually_equal(lambda: dead(bus), len(FOREIGN))
    await eventually(lambda: got.ids == [sent.id])

    letters = await bus.dead_letters()
    assert sorted(each.event.body for each in letters) == sorted(body for _, body in FOREIGN)
    assert all(each.reason.startswith("MalformedEventError: ") and each.attempts == 1 for each in letters)
    ids = [each.event.id for each in letters]
    assert len(set(ids)) == len(ids)
    assert ids == [each.event.id for each in await bus.dead_letters()]
    # Named by its id it can be given back, only to be found malformed again.
    assert await bus.replay("catalog.media", ids[:1]) == 1
    await eventually_equal(lambda: dead(bus), len(FOREIGN))


async def test_the_brokers_own_dead_letters_are_listed(make_bus: Make, name: str, channel: BlockingChannel) -> None:
    bus = make_bus()
    bus.subscribe(Subscription("catalog.media", ("media.*",)), Recorder())
    await bus.declare()
    publisher = make_bus()
    await start(publisher)
    sent = event("media.probed")
    await publisher.publish([sent])
    # As if a process had died over it, again and again.
    for _ in range(101):
        while not (got := channel.basic_get(f"{name}.catalog.media"))[0]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        channel.basic_nack(got[0].delivery_tag)
    await eventually_equal(lambda: dead(bus), 1)
    (letter,) = await bus.dead_letters()
    assert (letter.event, letter.reason, letter.subscription) == (sent, "delivery_limit", "catalog.media")


async def test_an_event_that_can_not_be_sent_is_left_out(make_bus: Make) -> None:
    bus = make_bus()
    await start(bus)
    good, too_long = event(), event("x" * 300)
    assert await bus.publish([good, too_long, event()]) > {good.id}
    assert too_long.id not in await bus.publish([too_long])


async def test_a_type_dropped_from_a_subscription_is_not_handled(make_bus: Make) -> None:
    before, after, got = make_bus(), make_bus(), Recorder()
    before.subscribe(Subscription("catalog.media", ("media.*", "video.*")), Recorder())
    await before.declare()
    after.subscribe(Subscription("catalog.media", ("media.*",)), got)
    await start(after)
    sent = event("media.probed")
    await after.publish([event("video.ready"), sent])
    await eventually(lambda: got.ids == [sent.id])
    await after.close()
    assert got.ids == [sent.id]


# Moves that the broker does not take


class FakeReceived:
    """A message in hand that notes what it was answered."""

    is_lost = False

    def __init__(self) -> None:
        self.properties, self.body = BasicProperties(), b"no event"
        self.answers: list[str] = []

    def __getattr__(self, answer: str) -> Callable[[], None]:
        return lambda: self.answers.append(answer)


@pytest.mark.parametrize(
    ("outcomes", "answers"),
    [
        ([PublishResult.CONFIRMED], ["ack"]),
        ([PublishResult.REFUSED, BusUnavailableError("gone"), PublishResult.REFUSED, PublishResult.CONFIRMED], ["ack"]),
        ([PublishResult.INVALID], ["reject"]),
        ([PublishResult.UNROUTED], ["reopen"]),
    ],
)
async def test_a_message_is_answered_when_its_copy_is_safe(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[PublishResult | Exception], answers: list[str]
) -> None:
    monkeypatch.setattr(consumer, "_PAUSE_SEC", 0)
    publisher, received = AsyncMock(), FakeReceived()
    publisher.publish.side_effect = [each if isinstance(each, Exception) else [each] for each in outcomes]
    registration = Registration(Subscription("catalog.media", ("#",)), Recorder())
    worker = Worker(registration, Topology("e"), publisher)
    worker.receive(cast("Received", received))
    await eventually(lambda: bool(received.answers))
    await worker.close(drain_sec=5)
    assert received.answers == answers
    assert publisher.publish.await_count == len(outcomes)


# Queues that change under the bus


async def test_a_deleted_queue_is_made_again(make_bus: Make, name: str, channel: BlockingChannel) -> None:
    bus, got = make_bus(), Recorder()
    bus.subscribe(Subscription("catalog.media", ("media.*",)), got)
    await start(bus)
    channel.queue_delete(f"{name}.catalog.media")
    await eventually(lambda: not bus.is_connected())
    await eventually(bus.is_connected)
    await bus.publish([event("media.probed")], required=["media.probed"])
    await eventually(lambda: len(got.finished) == 1)


@pytest.mark.parametrize(("error", "missing"), [(ValueError("no"), "retry.50"), (RejectedEventError("no"), "dead")])
async def test_a_move_to_a_deleted_queue_loses_nothing(
    make_bus: Make, name: str, channel: BlockingChannel, error: Exception, missing: str
) -> None:
    bus, got = make_bus(), Failing(error, times=2)
    bus.subscribe(Subscription("catalog.media", ("media.*",), retry_delays_sec=(0.05, 0.05)), got)
    await start(bus)
    channel.queue_delete(f"{name}.catalog.media.{missing}")
    await bus.publish([event("media.probed")])
    await eventually(lambda: len(got.events) == 2)
    if missing == "dead":
        await eventually_equal(lambda: dead(bus), 1)
    else:
        await eventually(lambda: len(got.events) == 3)


async def test_a_deleted_exchange_is_made_again(make_bus: Make, name: str, channel: BlockingChannel) -> None:
    bus = make_bus()
    await start(bus)
    channel.exchange_delete(name)
    with pytest.raises(BusUnavailableError):
        await bus.publish([event()])
    await eventually(bus.is_connected)
    assert await bus.publish([event()])


async def test_a_queue_of_other_making_stops_only_its_own_subscription(
    make_bus: Make, name: str, channel: BlockingChannel
) -> None:
    bus, got = make_bus(), Recorder()
    channel.queue_declare(f"{name}.catalog.old", durable=True)
    bus.subscribe(Subscription("catalog.old", ("media.*",)), Recorder())
    bus.subscribe(Subscription("catalog.media", ("media.*",)), got)
    await bus.start()
    publisher = make_bus()
    publisher.subscribe(Subscription("catalog.media", ("media.*",)), got)
    await start(publisher)
    await publisher.publish([event("media.probed")])
    await eventually(lambda: len(got.finished) == 1)
    assert not bus.is_connected()
    with pytest.raises(BusUnavailableError, match="PRECONDITION_FAILED"):
        await bus.declare()
    channel.queue_delete(f"{name}.catalog.old")
    await eventually(bus.is_connected)


# Connecting


async def test_a_broker_that_is_not_there(make_bus: Make) -> None:
    bus = make_bus(f"amqp://127.0.0.1:{free_port()}/")
    bus.subscribe(Subscription("catalog.media", ("media.*",)), Recorder())
    await bus.start()
    assert not bus.is_connected()
    for attempt in (
        bus.publish([event()]),
        bus.declare(),
        bus.dead_letters(),
        bus.replay("catalog.media"),
    ):
        with pytest.raises(BusUnavailableError):
            await attempt
    async with asyncio.timeout(5):
        await bus.close()


async def test_wrong_credentials_do_not_end_the_trying(make_bus: Make, broker: RabbitServer) -> None:
    bus = make_bus(broker.url.replace("guest:guest", "guest:wrong"))
    await bus.start()
    with pytest.raises(BusUnavailableError):
        await bus.declare()
    assert not bus.is_connected()


async def test_publishing_before_the_start_is_unavailable(make_bus: Make) -> None:
    with pytest.raises(BusUnavailableError):
        await make_bus().publish([event()])


def test_what_the_url_says_comes_first() -> None:
    plain, chosen = parameters("amqp://h", "n"), parameters("amqp://h?heartbeat=7&blocked_connection_timeout=9", "n")
    assert (plain.heartbeat, plain.blocked_connection_timeout) == (20, 60)
    assert (chosen.heartbeat, chosen.blocked_connection_timeout) == (7, 9)
    assert plain.ssl_options is None
    secure = parameters("amqps://h", "n")
    assert secure.ssl_options
    assert secure.ssl_options.context.check_hostname


def test_waits_grow_to_a_limit_and_differ() -> None:
    backoff = Backoff()
    waits = [backoff.next_wait() for _ in range(2000)]
    assert waits[0] <= 0.1
    assert all(5 <= wait <= 10 for wait in waits[7:])
    assert len(set(waits)) > 1000
    backoff.reset()
    assert backoff.next_wait() <= 0.1
