"""The event bus port: what services may ask of whatever carries events.

Two adapters answer it, `LocalBus` (one process, a SQLite file) and `RabbitBus` (RabbitMQ through pika); both are held
to `kit.testing.bus_contract`. Delivery is at least once, order is not promised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol

from kit.events.envelope import Event

Handler = Callable[[Event], Awaitable[None]]
"""Handles one event. Returning acknowledges it; raising has it tried again later; raising `RejectEventError` or
`MalformedEventError` puts it with the dead letters at once. Being cancelled (the process stops)
leaves it for the next process."""


class Delivery(Enum):
    """Who gets a copy of an event."""

    WORK = "work"
    """One of the service's replicas: a durable queue that all of them share."""
    BROADCAST = "broadcast"
    """Every process that is up now: for caches and other things that a restart forgets anyway. A handler that fails is
    not asked again."""


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


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a subscription gave up on."""

    subscription: str
    event: Event
    attempts: int
    reason: str
    """The last error, as text."""
    died_at: datetime


class RejectEventError(Exception):
    """Raised by a handler for an event that can never be handled."""


class BusUnavailableError(Exception):
    """The bus can't be reached, or did not confirm in time. The events may or may not have got through."""


class Bus(Protocol):
    """What carries events from the service where something happened to those that want to know."""

    def subscribe(self, subscription: Subscription, handler: Handler) -> None:
        """Registers a handler; call it before `start`."""

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Registers what must happen after broadcasts may have been missed (caches are dropped).

        Also called after the first connection: the process may have served, and cached, before there was one.
        """

    async def start(self) -> None:
        """Begins to deliver. Returns at once, also while the bus is unreachable: it goes on trying to connect."""

    async def close(self, drain_sec: float = 5) -> None:
        """Takes no new events, gives those in hand `drain_sec` to finish, cancels the rest and disconnects.

        What was not acknowledged stays with the bus.
        """

    async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
        """Hands events over for good: they are on disk with the bus when this returns.

        Returns the ids that the bus took charge of. An event is left out when it was refused, or when its type is in
        `required` and no work queue was there to receive it: publish that one again later.

        Raises:
            BusUnavailableError: nothing is known about the events; publish them again.
        """

    async def declare(self) -> None:
        """Makes the queues of the subscriptions without consuming, so that no event is lost before a consumer runs.

        Raises:
            BusUnavailableError: the bus can't be reached now.
        """

    def is_connected(self) -> bool:
        """Whether events can be published and received right now."""

    async def dead_letters(self, subscription: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """The oldest dead letters, of one subscription or of all that this bus knows.

        Raises:
            BusUnavailableError: the bus can't be reached now.
        """

    async def replay(self, subscription: str, event_ids: Sequence[str] | None = None) -> int:
        """Gives dead letters back to their own subscription only, with their attempts forgotten; answers how many.

        Raises:
            BusUnavailableError: the bus can't be reached now.
        """


__all__ = [
    "Bus",
    "BusUnavailableError",
    "DeadLetter",
    "Delivery",
    "Handler",
    "RejectEventError",
    "Subscription",
]
