"""The port of the event bus.

Two adapters answer it, `LocalBus` (one process, a SQLite file) and `RabbitBus` (RabbitMQ through pika); both are held
to `kit.testing.bus_contract`. Delivery is at least once, order is not promised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from kit.bus.topics import matches
from kit.events.envelope import Event
from kit.events.registry import EVENTS, UnregisteredEventError

Handler = Callable[[Event], Awaitable[None]]
"""Handles one event. Returning acknowledges it. Raising makes the bus try it again later; `RejectedEventError` and
`MalformedEventError` make it a dead letter at once. Being cancelled (the process stops) leaves it for the next
process."""


class Delivery(Enum):
    """Which processes get a copy of an event."""

    WORK = "work"
    """One of the service's replicas: a durable queue that all of them share."""
    BROADCAST = "broadcast"
    """Every process that is up now: for caches and other state that does not survive a restart. A handler that fails is
    not called again."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A named interest in some types of events."""

    name: str
    """`<service>.<purpose>`: the name of its queue and of its consumer in the inbox."""
    types: tuple[str, ...]
    """Routing patterns of a topic exchange: `video.uploaded`, `media.*`, `#`."""
    delivery: Delivery = Delivery.WORK
    concurrency: int = 1
    """How many events of this subscription one process handles at a time (the prefetch)."""
    retry_delays_sec: tuple[float, ...] = field(default=(1, 5, 30, 120, 600))
    """The wait before each further attempt; after the last one an event becomes a dead letter."""

    def __post_init__(self) -> None:
        """Check the patterns.

        Raises:
            UnregisteredEventError: a pattern covers no registered type of event.
        """
        for pattern in self.types:
            if not any(matches(pattern, each.name) for each in EVENTS):
                raise UnregisteredEventError(f"{self.name}: {pattern!r} covers no event in proto/marquee/events/v1")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a subscription gave up on."""

    subscription: str
    event: Event
    attempts: int
    reason: str
    """The last error, as text."""
    died_at: datetime


class RejectedEventError(Exception):
    """An event that can never be handled. A handler raises it."""


class BusUnavailableError(Exception):
    """The bus can't be reached, or did not confirm in time. The events may or may not have got through."""

    is_expected = True


class Bus(Protocol):
    """Carries events from the service where something happened to the services that subscribed."""

    def subscribe(self, subscription: Subscription, handler: Handler) -> None:
        """Register a handler. Call it before `start`."""

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Register what must be done after broadcasts may have been missed, such as dropping caches.

        Also called after the first connection: the process may have served, and cached, before there was one.
        """

    async def start(self) -> None:
        """Begin to deliver. Return at once, also while the bus can't be reached; the bus keeps trying to connect."""

    async def close(self, drain_sec: float = 5) -> None:
        """Take no new events, give those in hand `drain_sec` to finish, cancel the rest and disconnect.

        What was not acknowledged stays with the bus.
        """

    async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
        """Publish events; they are on disk with the bus when this returns.

        Returns the ids that the bus took charge of. An event is left out when it was refused, or when its type is in
        `required` and no work queue was there to receive it: publish that one again later.

        Raises:
            BusUnavailableError: the outcome is unknown; publish the events again.
        """

    async def declare(self) -> None:
        """Declare the queues of the subscriptions without consuming, so that no event is lost before a consumer runs.

        Raises:
            BusUnavailableError: the bus can't be reached now.
        """

    def is_connected(self) -> bool:
        """Return whether events can be published and received right now."""

    async def dead_letters(self, subscription: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Return the oldest dead letters, of one subscription or of all that this bus has.

        Raises:
            BusUnavailableError: the bus can't be reached now.
        """

    async def replay(self, subscription: str, event_ids: Sequence[str] | None = None) -> int:
        """Return dead letters to their own subscription only, with their attempts reset; return how many.

        Raises:
            BusUnavailableError: the bus can't be reached now.
        """
