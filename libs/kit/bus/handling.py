"""What the adapters share: the subscriptions, one run of a handler and its result, the metrics of both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge, Histogram

from kit.bus.port import Delivery, Handler, RejectedEventError, Subscription
from kit.bus.topics import any_matches
from kit.events.envelope import Event, MalformedEventError

EVENTS = Counter("bus_events_total", "Events handled, by outcome.", ["subscription", "outcome"])
HANDLING_SECONDS = Histogram("bus_handling_seconds", "Time a handler took for one event.", ["subscription"])
CONNECTED = Gauge("bus_connected", "1 while events can be published and received.", multiprocess_mode="livemin")

_REASON_CHARS = 1000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Done:
    """The event was handled."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The handler failed; it gets another attempt after a while."""

    delay_sec: float


@dataclass(frozen=True, slots=True)
class Dead:
    """The event is given up; only an operator can have it tried again."""

    reason: str


HandlingResult = Done | Retry | Dead


@dataclass(frozen=True, slots=True)
class Registration:
    """A subscription and the handler that serves it."""

    subscription: Subscription
    handler: Handler

    async def handle(self, event: Event, attempt: int) -> HandlingResult:
        """Run the handler for its `attempt`th time, counted from 1, with the event's ids in the log context.

        Nothing but `CancelledError` is raised: then the result is unknown and the event stays with the bus.
        """
        if not any_matches(self.subscription.types, event.type):
            # Queues outlive releases: a pattern that was dropped since may still have events in there.
            return Done()
        context = {
            "request_id": event.request_id,
            "traceparent": event.traceparent,
            "event_id": event.id,
            "event_type": event.type,
            "subscription": self.subscription.name,
            "attempt": attempt,
        }
        with structlog.contextvars.bound_contextvars(**context):
            return await self._attempt(event, attempt)

    async def _attempt(self, event: Event, attempt: int) -> HandlingResult:
        try:
            with HANDLING_SECONDS.labels(self.subscription.name).time():
                await self.handler(event)
        except (RejectedEventError, MalformedEventError) as error:
            return self.bury(error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # This task was not cancelled: something inside the handler was. Without a result the event would hang.
            return self._failed(error, attempt)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its event must get a result
            return self._failed(error, attempt)
        self._count("done")
        log.debug("event_handled")
        return Done()

    def _failed(self, error: BaseException, attempt: int) -> HandlingResult:
        delays = self.subscription.retry_delays_sec
        if attempt > len(delays) or self.subscription.delivery is Delivery.BROADCAST:
            return self.bury(error)
        delay = delays[attempt - 1]
        self._count("retried")
        log.warning("event_retried", delay_sec=delay, exc_info=error)
        return Retry(delay)

    def bury(self, error: BaseException) -> Dead:
        """Return the result for an event that is given up because of this error."""
        self._count("dead")
        log.error("event_dead", exc_info=error)
        text = str(error)
        return Dead(f"{type(error).__name__}: {text}"[:_REASON_CHARS] if text else type(error).__name__)

    def _count(self, outcome: str) -> None:
        EVENTS.labels(self.subscription.name, outcome).inc()


class SubscriptionRegistry:
    """The subscriptions of a process; complete once the bus starts."""

    def __init__(self) -> None:
        self._by_name: dict[str, Registration] = {}
        self._is_complete = False

    def add(self, subscription: Subscription, handler: Handler) -> None:
        """Add a subscription.

        Raises:
            RuntimeError: the bus has been started.
            ValueError: it has the name of another one, no type or no concurrency.
        """
        if self._is_complete:
            raise RuntimeError(f"{subscription.name}: subscribe before the bus starts")
        if subscription.name in self._by_name:
            raise ValueError(f"{subscription.name}: there is a subscription of this name already")
        if subscription.concurrency < 1 or not subscription.types:
            raise ValueError(f"{subscription.name}: needs a type and a concurrency of at least 1")
        self._by_name[subscription.name] = Registration(subscription, handler)

    def complete(self) -> None:
        """Refuse further subscriptions from now on."""
        if self._is_complete:
            raise RuntimeError("a bus starts once")
        self._is_complete = True

    def of(self, delivery: Delivery) -> Iterator[Registration]:
        """Return those that get their events in this way."""
        return (each for each in self._by_name.values() if each.subscription.delivery is delivery)
