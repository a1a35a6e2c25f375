"""The event bus of separate processes: RabbitMQ, through pika.

One thread holds two connections: when the broker is short of memory it stops reading from connections that publish, and
acknowledgements must get through all the same. Handlers run as tasks on the asyncio loop that started the bus.
`topology` says which queues there are and why; `message` what travels through them.
"""

# ruff: noqa: D102 - the port says what the methods do

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial

import structlog
from pika import SelectConnection

from kit.bus.handling import CONNECTED, SubscriptionRegistry
from kit.bus.port import DeadLetter, Delivery, Handler, Subscription
from kit.bus.rabbit import message as messages
from kit.bus.rabbit.admin import QueueAdmin
from kit.bus.rabbit.connection import IoThread, Link, parameters
from kit.bus.rabbit.consumer import Consumer, Worker
from kit.bus.rabbit.publisher import Publisher, PublishResult, post
from kit.bus.rabbit.topology import Topology
from kit.events.envelope import Event

log = structlog.get_logger()


class RabbitBus:
    """Carries events between processes through a RabbitMQ broker, 3.10 or later."""

    def __init__(
        self,
        url: str,
        *,
        service: str,
        exchange: str = "marquee.events",
        prefix: str = "",
        confirm_sec: float = 10,
    ) -> None:
        """Prepare a bus; `start` connects it.

        Args:
            url: `amqp://` or `amqps://`, with pika's query parameters.
            service: the name of the connections on the broker's own pages.
            exchange: where events are published.
            prefix: before the names of all queues, for several installations on one virtual host.
            confirm_sec: how long the broker may take to confirm what was published.
        """
        self._registry = SubscriptionRegistry()
        self._topology = Topology(exchange, prefix)
        self._callbacks: list[Callable[[], None]] = []
        self._consumers: list[Consumer] = []
        self._workers: list[Worker] = []
        self._was_connected = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._io = IoThread()
        self._admin = QueueAdmin(parameters(url, f"{service} (admin)"), self._topology)
        self._publisher = Publisher(self._io, self._topology, confirm_sec, self._changed)
        Link(self._io, parameters(url, f"{service} (publishing)"), self._publisher.connected, self._publisher.lost)
        Link(self._io, parameters(url, f"{service} (consuming)"), self._consume, self._consuming_lost)

    def subscribe(self, subscription: Subscription, handler: Handler) -> None:
        self._registry.add(subscription, handler)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    async def start(self) -> None:
        self._registry.complete()
        self._loop = asyncio.get_running_loop()
        for delivery in Delivery:
            for registration in self._registry.of(delivery):
                worker = Worker(registration, self._topology, self._publisher)
                on_message = partial(post, self._loop, worker.receive)
                self._workers.append(worker)
                self._consumers.append(
                    Consumer(self._io, self._topology, registration.subscription, on_message, self._consumer_changed)
                )
        self._io.start()

    async def close(self, drain_sec: float = 5) -> None:
        if self._loop is None:
            return
        self._loop = None
        for consumer in self._consumers:
            self._io.call(consumer.stop)
        await asyncio.gather(*(worker.close(drain_sec) for worker in self._workers))
        await asyncio.to_thread(self._io.stop)

    async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
        work = [messages.from_event(event, self._topology.exchange, mandatory=True) for event in events]
        broadcast = [messages.from_event(event, self._topology.broadcast_exchange, mandatory=False) for event in events]
        outcomes = await self._publisher.publish([*work, *broadcast])
        taken = set()
        for event, worked, broadcasted in zip(events, outcomes, outcomes[len(events) :], strict=False):
            routed = worked is PublishResult.CONFIRMED or (
                worked is PublishResult.UNROUTED and event.type not in required
            )
            if routed and broadcasted is PublishResult.CONFIRMED:
                taken.add(event.id)
        return frozenset(taken)

    async def declare(self) -> None:
        subscriptions = [registration.subscription for registration in self._registry.of(Delivery.WORK)]
        await asyncio.to_thread(self._admin.declare, subscriptions)

    def is_connected(self) -> bool:
        return (
            self._loop is not None
            and self._publisher.is_ready
            and all(consumer.is_consuming for consumer in self._consumers)
        )

    async def dead_letters(self, subscription: str | None = None, limit: int = 100) -> list[DeadLetter]:
        known = [registration.subscription.name for registration in self._registry.of(Delivery.WORK)]
        found: list[DeadLetter] = []
        for name in known if subscription is None else [subscription]:
            found += await asyncio.to_thread(self._admin.dead_letters, name, limit)
        return sorted(found, key=lambda letter: letter.died_at)[:limit]

    async def replay(self, subscription: str, event_ids: Sequence[str] | None = None) -> int:
        return await asyncio.to_thread(self._admin.replay, subscription, event_ids)

    # From here on everything happens on the bus's thread.

    def _consume(self, connection: SelectConnection) -> None:
        for consumer in self._consumers:
            consumer.connected(connection)
        if not self._broadcasts():
            self._reconnected()

    def _consuming_lost(self) -> None:
        for consumer in self._consumers:
            consumer.lost()

    def _consumer_changed(self, consumer: Consumer) -> None:
        broadcasts = self._broadcasts()
        # Broadcasts were missed until now, when the last of these queues exists again.
        if consumer in broadcasts and all(each.is_consuming for each in broadcasts):
            self._reconnected()
        self._changed()

    def _broadcasts(self) -> list[Consumer]:
        return [each for each in self._consumers if each.subscription.delivery is Delivery.BROADCAST]

    def _reconnected(self) -> None:
        if loop := self._loop:
            for callback in self._callbacks:
                post(loop, callback)

    def _changed(self) -> None:
        connected = self.is_connected()
        if connected is not self._was_connected:
            self._was_connected = connected
            CONNECTED.set(connected)
            log.info("bus_connected" if connected else "bus_disconnected")


__all__ = ["RabbitBus"]
