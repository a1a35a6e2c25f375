"""What operators and migrations need: each request has a short, blocking connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pika import BasicProperties, BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel
from pika.connection import Parameters
from pika.exceptions import AMQPError, ChannelClosedByBroker

from kit.bus.port import BusUnavailableError, DeadLetter, Subscription
from kit.bus.rabbit import message as messages
from kit.bus.rabbit.topology import Topology

_NOT_FOUND = 404

T = TypeVar("T")


class QueueAdmin:
    """Makes queues, looks into the dead letters and gives them back. Every method blocks: call it in a thread."""

    def __init__(self, how: Parameters, topology: Topology) -> None:
        self._how = how
        self._topology = topology

    def declare(self, subscriptions: Iterable[Subscription]) -> None:
        """Declare the queues of work subscriptions."""

        def run(channel: BlockingChannel) -> None:
            for subscription in subscriptions:
                self._topology.declare_work(channel, subscription)

        self._with_channel(run)

    def dead_letters(self, subscription: str, limit: int) -> list[DeadLetter]:
        """Return dead letters and leave them there: unacknowledged, they are requeued when the channel closes."""
        queue = self._topology.dead_queue(subscription)

        def run(channel: BlockingChannel) -> list[DeadLetter]:
            found: list[DeadLetter] = []
            while len(found) < limit and (got := _get(channel, queue)):
                _, properties, body = got
                found.append(messages.to_dead_letter(subscription, properties, body))
            return found

        return self._with_channel(run, missing=[])

    def replay(self, subscription: str, event_ids: Sequence[str] | None) -> int:
        """Move dead letters back to their own queue, removing each once it has arrived there. Return how many."""
        queue = self._topology.dead_queue(subscription)

        def run(channel: BlockingChannel) -> int:
            channel.confirm_delivery()
            replayed: set[str] = set()
            while got := _get(channel, queue):
                tag, properties, body = got
                event_id = messages.event_id(properties, body)
                # One that fails again at once is back while this runs; a second time would make it an endless loop.
                if event_id in replayed or (event_ids is not None and event_id not in event_ids):
                    continue
                copy = messages.replay_copy(properties, body, self._topology.queue(subscription))
                channel.basic_publish(copy.exchange, copy.routing_key, copy.body, copy.properties, mandatory=True)
                channel.basic_ack(tag)
                replayed.add(event_id)
            return len(replayed)

        return self._with_channel(run, missing=0)

    def _with_channel(self, run: Callable[[BlockingChannel], T], missing: T | None = None) -> T:
        try:
            with BlockingConnection(self._how) as connection:
                return run(connection.channel())
        except ChannelClosedByBroker as error:
            if error.reply_code == _NOT_FOUND and missing is not None:
                return missing
            raise BusUnavailableError(repr(error)) from error
        except (AMQPError, OSError) as error:
            raise BusUnavailableError(repr(error)) from error


def _get(channel: BlockingChannel, queue: str) -> tuple[int, BasicProperties, bytes] | None:
    method, properties, body = channel.basic_get(queue)
    if method is None or properties is None or body is None:
        return None
    return method.delivery_tag, properties, body
