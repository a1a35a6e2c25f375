"""Consuming: a channel for each subscription, and what happens to each message that arrives on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from pika import BasicProperties, SelectConnection
from pika.channel import Channel
from pika.spec import Basic

from kit.bus.handling import Dead, Done, HandlingResult, Registration, Retry
from kit.bus.port import BusUnavailableError, Delivery, Subscription
from kit.bus.rabbit import message as messages
from kit.bus.rabbit.connection import Backoff, IoThread
from kit.bus.rabbit.message import Message
from kit.bus.rabbit.publisher import Publisher, PublishResult
from kit.bus.rabbit.topology import Topology
from kit.events.envelope import MalformedEventError
from kit.ids import new_id

_PAUSE_SEC = 0.5
"""The wait before a message that could not be moved is tried again."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Received:
    """A message in hand, bound to the channel on which it came.

    Once that is closed the broker gives the message to another consumer, and on a new channel its tag would mean
    another message or none, which closes the channel. So an answer that comes too late is dropped.
    """

    properties: BasicProperties
    body: bytes
    _io: IoThread
    _channel: Channel
    _tag: int

    @property
    def is_lost(self) -> bool:
        """Whether an answer can no longer reach the broker."""
        return not self._channel.is_open

    def ack(self) -> None:
        """Acknowledge it: the broker may forget it."""
        self._io.call(self._answer, lambda: self._channel.basic_ack(self._tag))

    def reject(self) -> None:
        """Have the broker move it to the dead letters by itself."""
        self._io.call(self._answer, lambda: self._channel.basic_nack(self._tag, requeue=False))

    def reopen(self) -> None:
        """Return all that is in hand on this channel, and have its queues declared again."""
        self._io.call(self._answer, self._channel.close)

    def _answer(self, answer: Callable[[], None]) -> None:
        if self._channel.is_open:
            answer()


class Consumer:
    """One subscription on the consuming connection. All of it happens on the bus's thread."""

    def __init__(
        self,
        io: IoThread,
        topology: Topology,
        subscription: Subscription,
        on_message: Callable[[Received], None],
        on_change: Callable[[Consumer], None],
    ) -> None:
        self.subscription = subscription
        self.is_consuming = False
        self._io = io
        self._topology = topology
        self._on_message = on_message
        self._on_change = on_change
        self._backoff = Backoff()
        self._connection: SelectConnection | None = None
        self._channel: Channel | None = None
        self._tag = ""
        self._is_stopped = False

    def connected(self, connection: SelectConnection) -> None:
        """Begin to consume on a new connection."""
        self._connection = connection
        self._open_channel()

    def lost(self) -> None:
        """Forget the connection, which is closed."""
        self._channel = None
        self._set_consuming(consuming=False)

    def stop(self) -> None:
        """Take nothing more; what is in hand can still be answered."""
        self._is_stopped = True
        if self.is_consuming and self._channel and self._channel.is_open:
            self._channel.basic_cancel(self._tag)
        self._set_consuming(consuming=False)

    def _open_channel(self) -> None:
        if self._channel is None and self._connection and self._connection.is_open and not self._is_stopped:
            self._channel = self._connection.channel(on_open_callback=self._opened)

    def _opened(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._closed)
        channel.add_on_cancel_callback(lambda _: self._cancelled(channel))
        channel.basic_qos(prefetch_count=self.subscription.concurrency)
        if self.subscription.delivery is Delivery.WORK:
            queue = self._topology.queue(self.subscription.name)
            self._topology.declare_work(channel, self.subscription)
        else:
            # A new name each time: the broker may still hold the old queue for a connection it has yet to miss.
            queue = f"{self._topology.queue(self.subscription.name)}.{new_id()}"
            self._topology.declare_broadcast(channel, self.subscription, queue)
        self._tag = channel.basic_consume(queue, self._received, callback=lambda _: self._consuming(channel))

    def _consuming(self, channel: Channel) -> None:
        if channel is self._channel and not self._is_stopped:
            self._backoff.reset()
            self._set_consuming(consuming=True)

    def _cancelled(self, channel: Channel) -> None:
        """Close the channel: the broker ended the subscription, as its queue was deleted or moved to another node."""
        if channel.is_open and not self._is_stopped:
            channel.close()

    def _closed(self, channel: Channel, reason: Exception) -> None:
        if channel is not self._channel:
            return
        self.lost()
        if self._connection and self._connection.is_open and not self._is_stopped:
            wait = self._backoff.next_wait()
            log.error("bus_channel_closed", subscription=self.subscription.name, reason=repr(reason), again_in_sec=wait)
            self._io.loop.call_later(wait, self._open_channel)

    def _received(self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        self._on_message(Received(properties, body, self._io, channel, method.delivery_tag))

    def _set_consuming(self, *, consuming: bool) -> None:
        if consuming is not self.is_consuming:
            self.is_consuming = consuming
            self._on_change(self)


class Worker:
    """Runs a subscription's handler over what its consumer received. All of it happens on the asyncio loop."""

    def __init__(self, registration: Registration, topology: Topology, publisher: Publisher) -> None:
        self._registration = registration
        self._subscription = registration.subscription
        self._topology = topology
        self._publisher = publisher
        # The prefetch bounds what one connection hands out. After a reconnect, handlers of the last one still run.
        self._slots = asyncio.Semaphore(self._subscription.concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False

    def receive(self, received: Received) -> None:
        """Handle a message, unless the worker is closing."""
        if not self._is_closing:
            task = asyncio.create_task(self._handle(received))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self, drain_sec: float) -> None:
        """Start nothing more; give running handlers that long to finish, then cancel them."""
        self._is_closing = True
        if pending := set(self._tasks):
            _, late = await asyncio.wait(pending, timeout=drain_sec)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _handle(self, received: Received) -> None:
        async with self._slots:
            if received.is_lost or self._is_closing:
                return
            result = await self._read_and_handle(received)
            await self._settle(received, result)

    async def _read_and_handle(self, received: Received) -> HandlingResult:
        try:
            event = messages.to_event(received.properties, received.body)
        except MalformedEventError as error:
            return self._registration.bury(error)
        return await self._registration.handle(event, messages.attempts(received.properties) + 1)

    async def _settle(self, received: Received, result: HandlingResult) -> None:
        copy = None if self._subscription.delivery is Delivery.BROADCAST else self._copy(received, result)
        # First the copy, then the ack: in between there are two of it, never none.
        outcome = await self._move(received, copy) if copy else PublishResult.CONFIRMED
        match outcome:
            case PublishResult.CONFIRMED:
                received.ack()
            case PublishResult.UNROUTED:
                log.error("bus_queue_missing", subscription=self._subscription.name)
                received.reopen()
            case PublishResult.INVALID:
                received.reject()

    async def _move(self, received: Received, copy: Message) -> PublishResult:
        """Publish the copy; try until it succeeds or the original is no longer in hand."""
        while not received.is_lost:
            try:
                (outcome,) = await self._publisher.publish([copy])
            except BusUnavailableError as error:
                log.warning("bus_move_failed", queue=copy.routing_key, reason=str(error))
            else:
                if outcome is not PublishResult.REFUSED:
                    return outcome
                log.warning("bus_move_failed", queue=copy.routing_key, reason="refused by the broker")
            await asyncio.sleep(_PAUSE_SEC)
        return PublishResult.REFUSED

    def _copy(self, received: Received, result: HandlingResult) -> Message | None:
        name = self._subscription.name
        match result:
            case Done():
                return None
            case Retry(delay):
                queue = self._topology.retry_queue(name, delay)
                return messages.retry_copy(received.properties, received.body, queue)
            case Dead(reason):
                queue = self._topology.dead_queue(name)
                return messages.dead_copy(received.properties, received.body, queue, reason)
