"""Publishing with confirms: many messages in flight, each with an answer of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import structlog
from pika import BasicProperties, SelectConnection
from pika.channel import Channel
from pika.exceptions import AMQPChannelError, AMQPConnectionError
from pika.spec import Basic

from kit.bus.port import BusUnavailableError
from kit.bus.rabbit.connection import Backoff, IoThread
from kit.bus.rabbit.message import Message
from kit.bus.rabbit.topology import Topology

_WINDOW = 256
"""Messages that may be on their way without a confirm."""

log = structlog.get_logger()


class PublishResult(Enum):
    """The broker's answer to a message."""

    CONFIRMED = "confirmed"
    UNROUTED = "unrouted"
    """Mandatory, but no queue wanted it. The broker returns such a message *and* confirms it."""
    REFUSED = "refused"
    """Not now; it may take the message another time."""
    INVALID = "invalid"
    """Never sent: the message can't be encoded."""


class Batch:
    """Messages published together, and the future of their outcomes."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.is_abandoned = False
        self._outcomes: list[PublishResult] = [PublishResult.REFUSED] * len(messages)
        self._missing = len(messages)
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[list[PublishResult]] = self._loop.create_future()

    async def outcomes(self, within_sec: float) -> list[PublishResult]:
        """Return the outcome of each message.

        Raises:
            BusUnavailableError: not all are known within that time.
        """
        try:
            async with asyncio.timeout(within_sec):
                return await self._future
        except TimeoutError:
            raise BusUnavailableError(f"no confirm within {within_sec} s") from None
        finally:
            self.is_abandoned = True

    def settle(self, index: int, outcome: PublishResult) -> None:
        """Record one outcome. Called on the bus's thread, as is `fail`."""
        self._outcomes[index] = outcome
        self._missing -= 1
        if not self._missing:
            post(self._loop, self._finish, None)

    def fail(self, reason: str) -> None:
        """End the batch: the outcome of the other messages is unknown."""
        post(self._loop, self._finish, BusUnavailableError(reason))

    def _finish(self, error: BusUnavailableError | None) -> None:
        if self._future.done():
            return
        if error:
            self._future.set_exception(error)
        else:
            self._future.set_result(self._outcomes)


@dataclass(slots=True)
class _InFlight:
    batch: Batch
    index: int
    is_returned: bool = field(default=False)

    @property
    def message(self) -> Message:
        return self.batch.messages[self.index]


class Publisher:
    """The publishing connection's only channel. Everything but `publish` happens on the bus's thread."""

    def __init__(self, io: IoThread, topology: Topology, confirm_sec: float, on_change: Callable[[], None]) -> None:
        self._io = io
        self._topology = topology
        self._confirm_sec = confirm_sec
        self._on_change = on_change
        self._backoff = Backoff()
        self._connection: SelectConnection | None = None
        self._channel: Channel | None = None
        self._is_open = False
        self._is_blocked = False
        self._last_tag = 0
        self._queue: deque[_InFlight] = deque()
        self._in_flight: dict[int, _InFlight] = {}

    @property
    def is_ready(self) -> bool:
        """Whether the broker takes messages right now."""
        return self._is_open and not self._is_blocked

    async def publish(self, messages: Sequence[Message]) -> list[PublishResult]:
        """Publish the messages and return the outcome of each.

        Raises:
            BusUnavailableError: the outcome is unknown.
        """
        if not self.is_ready:
            raise BusUnavailableError(
                "the broker takes no messages" if self._is_blocked else "not connected to the broker"
            )
        if not messages:
            return []
        batch = Batch(messages)
        self._io.call(self._accept, batch)
        return await batch.outcomes(self._confirm_sec)

    def connected(self, connection: SelectConnection) -> None:
        """Begin to publish on a new connection."""
        self._connection = connection
        connection.add_on_connection_blocked_callback(lambda *_: self._block(blocked=True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._block(blocked=False))
        self._open_channel()

    def lost(self) -> None:
        """Fail all messages in flight: their connection is closed, so their outcome is unknown."""
        self._is_open = self._is_blocked = False
        self._channel = None
        failed = {flight.batch for flight in (*self._in_flight.values(), *self._queue)}
        self._in_flight.clear()
        self._queue.clear()
        for batch in failed:
            batch.fail("lost the connection to the broker")
        self._on_change()

    def _open_channel(self) -> None:
        if self._channel is None and self._connection and self._connection.is_open:
            self._channel = self._connection.channel(on_open_callback=self._opened)

    def _opened(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._closed)
        channel.add_on_return_callback(self._returned)
        self._topology.declare_exchanges(channel)
        channel.confirm_delivery(self._confirmed, callback=lambda _: self._ready(channel))

    def _ready(self, channel: Channel) -> None:
        if channel is self._channel:
            self._last_tag = 0
            self._is_open = True
            self._backoff.reset()
            self._on_change()

    def _closed(self, channel: Channel, reason: Exception) -> None:
        if channel is not self._channel:
            return
        self.lost()
        if self._connection and self._connection.is_open:
            log.error("bus_channel_closed", channel="publisher", reason=repr(reason))
            self._io.loop.call_later(self._backoff.next_wait(), self._open_channel)

    def _block(self, *, blocked: bool) -> None:
        log.warning("bus_blocked" if blocked else "bus_unblocked")
        self._is_blocked = blocked
        self._on_change()

    def _accept(self, batch: Batch) -> None:
        if not self._is_open:
            batch.fail("not connected to the broker")
            return
        self._queue.extend(_InFlight(batch, index) for index in range(len(batch.messages)))
        self._send()

    def _send(self) -> None:
        while self._queue and len(self._in_flight) < _WINDOW and self._channel:
            flight = self._queue.popleft()
            if flight.batch.is_abandoned:
                continue
            message = flight.message
            try:
                self._channel.basic_publish(
                    message.exchange, message.routing_key, message.body, message.properties, mandatory=message.mandatory
                )
            except (AMQPConnectionError, AMQPChannelError) as error:
                flight.batch.fail(repr(error))
            except Exception:  # pika can't put it on the wire, and others wait behind it
                log.exception("bus_message_invalid", event_id=message.properties.message_id)
                flight.batch.settle(flight.index, PublishResult.INVALID)
            else:
                self._last_tag += 1
                self._in_flight[self._last_tag] = flight

    def _returned(self, _channel: Channel, method: Basic.Return, properties: BasicProperties, _body: bytes) -> None:
        """Mark a message as returned. The return comes before the confirm of the same message, without its tag."""
        returned = (method.exchange, method.routing_key, properties.message_id)
        for flight in self._in_flight.values():
            message = flight.message
            same = (message.exchange, message.routing_key, message.properties.message_id) == returned
            if same and not flight.is_returned:
                flight.is_returned = True
                return

    def _confirmed(self, frame: Any) -> None:
        last = frame.method.delivery_tag
        tags = [tag for tag in self._in_flight if tag <= last] if frame.method.multiple else [last]
        refused = isinstance(frame.method, Basic.Nack)
        for tag in tags:
            if flight := self._in_flight.pop(tag, None):
                confirmed = PublishResult.UNROUTED if flight.is_returned else PublishResult.CONFIRMED
                flight.batch.settle(flight.index, PublishResult.REFUSED if refused else confirmed)
        self._send()


def post(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: Any) -> None:
    """Run the function on an asyncio loop. Do nothing if the loop is closed: its tasks have ended."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, *args)
