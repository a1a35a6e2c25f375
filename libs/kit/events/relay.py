"""The relay: moves events from where they wait to the bus. What they wait in, an outbox or Redis, is a port.

Events are forgotten there only when the bus has taken charge of them. A relay that dies in between has them published
again, under the same ids.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog

from kit.bus import Bus, BusUnavailableError
from kit.events.envelope import Event
from kit.events.registry import EVENTS
from kit.telemetry import OUTBOX_AGE, OUTBOX_SENT

log = structlog.get_logger()

POLL_SEC = 0.5
POLL_SEC_IF_WOKEN = 5.0
MAX_PAUSE_SEC = 5.0

Publish = Callable[[Sequence[Event]], Awaitable[frozenset[str]]]
"""Publish events; return the ids of those that the bus took charge of. Raises as `Bus.publish` does."""


class EventSource(Protocol):
    """Where events wait to be published."""

    unavailable: type[Exception]
    """What `drain` raises while the source can't be reached."""

    async def drain(self, publish: Publish) -> datetime | None:
        """Publish all events that are due, batch by batch, and forget those that the bus took charge of.

        Returns when the oldest event that is still waiting happened; None if none is.
        """


class Relay:
    """Moves the events of one service to the bus. Several may run if the source shares the events out among them.

    Args:
        service: the service, for metrics.
        source: where the events are.
        bus: where they go.
        required: types that must have a work queue; they wait until one exists. By default those that the registry
            names a required consumer for.
        is_woken: whether `wake` reports every new event. Polls then only find what waits for another attempt.
    """

    def __init__(
        self,
        service: str,
        source: EventSource,
        bus: Bus,
        *,
        required: Collection[str] | None = None,
        is_woken: bool = False,
    ) -> None:
        self._service = service
        self._source = source
        self._bus = bus
        self._required = EVENTS.required() if required is None else frozenset(required)
        self._idle_sec = POLL_SEC_IF_WOKEN if is_woken else POLL_SEC
        self._oldest_unrouted: datetime | None = None
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Relay now instead of at the next poll: there are new events."""
        self._wake.set()

    async def run(self) -> None:
        """Relay until cancelled. Wait while the bus or the source can't be reached."""
        pause = POLL_SEC
        while True:
            self._wake.clear()
            try:
                is_done = await self.relay()
            except BusUnavailableError as error:
                log.warning("outbox_waits_for_bus", reason=str(error))
                pause = await self._back_off(pause)
                continue
            except self._source.unavailable as error:
                log.warning("outbox_waits_for_store", reason=str(error))
                pause = await self._back_off(pause)
                continue
            except Exception:
                log.exception("outbox_relay_failed")
                pause = await self._back_off(pause)
                continue
            pause = POLL_SEC
            # Not wait_for: that one forgets a cancellation that comes together with the event (Python 3.11).
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._idle_sec if is_done else MAX_PAUSE_SEC):
                    await self._wake.wait()

    async def relay(self) -> bool:
        """Publish what is due; return whether the bus took all of it.

        Raises:
            BusUnavailableError: the bus can't be reached.
            Exception: what the source raises, such as its `unavailable`.
        """
        self._oldest_unrouted = None
        self._report_age(await self._source.drain(self._publish))
        return self._oldest_unrouted is None

    async def _publish(self, events: Sequence[Event]) -> frozenset[str]:
        # Before the bus is asked: while it can't be reached, the age must be seen to grow.
        self._report_age(self._oldest_unrouted or min(event.time for event in events))
        sent = await self._bus.publish(events, required=self._required)
        OUTBOX_SENT.labels(self._service).inc(len(sent))
        if unrouted := [event for event in events if event.id not in sent]:
            log.warning("outbox_events_not_routed", event_ids=[event.id for event in unrouted])
            times = [event.time for event in unrouted]
            self._oldest_unrouted = min([*times, self._oldest_unrouted] if self._oldest_unrouted else times)
        return sent

    def _report_age(self, oldest: datetime | None) -> None:
        age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
        OUTBOX_AGE.labels(self._service).set(max(age, 0.0))

    @staticmethod
    async def _back_off(pause: float) -> float:
        """Wait longer than the last time. New events don't shorten the wait: they come at the rate of requests."""
        pause = min(pause * 2, MAX_PAUSE_SEC)
        await asyncio.sleep(pause)
        return pause
