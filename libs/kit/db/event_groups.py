"""Apply events in groups: one transaction for all that wait, in which each event takes effect once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from kit.bus import Subscription
from kit.db.database import Database, Transaction
from kit.db.groups import GroupWriter
from kit.events.envelope import Event
from kit.telemetry import service_context

T = TypeVar("T")
R = TypeVar("R")

CONCURRENCY: Final = 64
"""The concurrency of a subscription that is handled in groups: as many events as one transaction may hold."""


@dataclass(frozen=True, slots=True)
class Received(Generic[T]):
    """An event, and what it says in the consumer's terms."""

    event: Event
    content: T

    def trace(self, service: str) -> AbstractContextManager[None]:
        """Bind the ids of the event to what is logged and recorded inside: a group has those of no event."""
        event = self.event
        return service_context(service, request_id=event.request_id, traceparent=event.traceparent, event_id=event.id)


class EventGroups(Generic[T, R]):
    """Applies the events of a subscription.

    Args:
        database: what they are applied to.
        subscription: which consumer of the inbox this is.
        effect: applies events that have not been applied before, each once and in the order of their arrival, and
            returns a result for each. When it raises, nothing of the group remains and its events are tried one by one,
            so that a defective one fails alone.
        service: the service's name in logs.
    """

    def __init__(
        self,
        database: Database,
        subscription: Subscription,
        effect: Callable[[Transaction, Sequence[Received[T]]], Awaitable[Sequence[R]]],
        *,
        service: str,
    ) -> None:
        self._consumer = subscription.name
        self._effect = effect
        self._groups: GroupWriter[Received[T], R | None] = GroupWriter(
            database, self._apply, service=service, most=CONCURRENCY
        )

    async def apply(self, event: Event, content: T) -> R | None:
        """Apply an event and return the result once it is committed; None for one that was applied before.

        Raises:
            DatabaseUnavailableError: as `Database.write`.
            Exception: what `effect` raised for this event alone.
        """
        return await self._groups.write(Received(event, content))

    async def _apply(self, transaction: Transaction, group: Sequence[Received[T]]) -> list[R | None]:
        by_id = {each.event.id: each for each in group}
        events = [each.event for each in group]
        new = [by_id[event.id] for event in await transaction.first_deliveries(self._consumer, events)]
        results = await self._effect(transaction, new) if new else []
        result_of = {each.event.id: result for each, result in zip(new, results, strict=True)}
        # A repeated event may be in one group with itself: only one of the two has the result.
        return [result_of.pop(event.id, None) for event in events]
