"""The exchanges and queues of the bus: their names, arguments and bindings.

    publisher ──> marquee.events (topic) ─────────> catalog.media ── handled ──> gone
                                                       │   ^
                                       failed, moved   │   │ expired (queue-wide time to live)
                                                       v   │
                                              catalog.media.retry.5000
                                                       │ last attempt failed, moved
                                                       v
                                              catalog.media.dead

    publisher ──> marquee.events.broadcast (topic) ──> one exclusive queue a process

There are two exchanges because a mandatory message counts as routed when *any* queue receives it: on one exchange a
process that listens for broadcasts would hide that no consumer is there to do the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from kit.bus.port import Subscription

_DELIVERY_LIMIT = 100
"""Deliveries without an answer (the process or its connection died) after which the broker gives up. The bus counts
attempts itself, since one crash counts against every event in hand; this only ends a crash loop."""
_NO_DELIVERY_LIMIT = 1_000_000_000
"""For dead letters: looking at one is a delivery, and by default RabbitMQ 4 drops a message after 20 of them."""


class Declares(Protocol):
    """The part of a channel, blocking or not, that makes queues."""

    def exchange_declare(self, exchange: str, exchange_type: str, *, durable: bool) -> object: ...  # noqa: D102 - pika's
    def queue_declare(  # noqa: D102 - pika's
        self, queue: str, *, durable: bool = ..., exclusive: bool = ..., auto_delete: bool = ..., arguments: Any = ...
    ) -> object: ...
    def queue_bind(self, queue: str, exchange: str, routing_key: str | None = ...) -> object: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything a bus has at the broker. Declaring it again changes nothing."""

    exchange: str
    prefix: str = ""

    @property
    def broadcast_exchange(self) -> str:
        """Where every event is published once more, for those who listen while they are up."""
        return f"{self.exchange}.broadcast"

    def queue(self, subscription: str) -> str:
        """Return the name of a work subscription's queue."""
        return f"{self.prefix}{subscription}"

    def dead_queue(self, subscription: str) -> str:
        """Return the name of the queue of events that the subscription gave up on."""
        return f"{self.queue(subscription)}.dead"

    def retry_queue(self, subscription: str, delay_sec: float) -> str:
        """Return the queue where events wait so long before they return to the subscription's queue, and only there."""
        return f"{self.queue(subscription)}.retry.{_millis(delay_sec)}"

    def declare_exchanges(self, channel: Declares) -> None:
        """Declare both exchanges."""
        channel.exchange_declare(self.exchange, "topic", durable=True)
        channel.exchange_declare(self.broadcast_exchange, "topic", durable=True)

    def declare_work(self, channel: Declares, subscription: Subscription) -> None:
        """Declare a subscription's queues; the one that receives comes last, when all that it relies on exists."""
        queue = self.queue(subscription.name)
        dead = self.dead_queue(subscription.name)
        self.declare_exchanges(channel)
        _declare_quorum(channel, dead, {"x-delivery-limit": _NO_DELIVERY_LIMIT})
        for delay in sorted(set(subscription.retry_delays_sec)):
            # A delay has a queue of its own: a time to live per message would only be looked at once the message is
            # at the head, so one long wait would hold up all short ones behind it.
            arguments = {"x-message-ttl": _millis(delay), **_dead_letters_to(queue)}
            _declare_quorum(channel, self.retry_queue(subscription.name, delay), arguments)
        _declare_quorum(channel, queue, {"x-delivery-limit": _DELIVERY_LIMIT, **_dead_letters_to(dead)})
        for pattern in subscription.types:
            channel.queue_bind(queue, self.exchange, pattern)

    def declare_broadcast(self, channel: Declares, subscription: Subscription, queue: str) -> None:
        """Declare the queue of one process; it ends with the connection."""
        self.declare_exchanges(channel)
        channel.queue_declare(queue, exclusive=True, auto_delete=True)
        for pattern in subscription.types:
            channel.queue_bind(queue, self.broadcast_exchange, pattern)


def _declare_quorum(channel: Declares, queue: str, arguments: dict[str, Any]) -> None:
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum", **arguments})


def _dead_letters_to(queue: str) -> dict[str, Any]:
    """Return the arguments of a queue whose expired and rejected messages go to another queue.

    They go through the default exchange, whose routing key is a queue's name.

    The message leaves only when it has arrived there (`at-least-once`, which the broker grants only to a queue that
    rejects rather than drops on overflow).
    """
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def _millis(delay_sec: float) -> int:
    return max(1, round(delay_sec * 1000))
