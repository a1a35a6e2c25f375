"""The port of the slots: who may stream now, exactly, however many replicas serve.

Two adapters answer it, `MemorySlots` (one process) and `RedisSlots` (any number of replicas); both are held to
`services.stream.tests.unit.slots.contract`. Every operation is atomic and begins by bringing the store up to date: what
has shown no sign of life ends, and freed slots go to the head of the queue.

How a replica uses it:

- `start` for a new session. What it answers as `Active` or `Queued` is kept, with the bytes sent, until `renew` answers
  `Ended` for it.
- `get` once for a session that it doesn't know (another replica started it); after that no request asks the store. If
  the answer is `Ended(UNKNOWN)` and its ticket is good, `renew` may bring it back.
- `renew` at least every `Limits.tick_sec` with all that it keeps, also when that is nothing: the store takes two ticks
  of silence for an outage. Responses of sessions that are gone are aborted, and their last bytes told by the next
  renewal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kit.audit import Admin
from kit.events.envelope import Event
from services.stream.slots.models import (
    Active,
    Ended,
    EndReason,
    Kind,
    LimitReached,
    Limits,
    Outcome,
    Queued,
    Renewal,
    Scope,
    Session,
    SessionRequest,
    SessionStatus,
    State,
    Unavailable,
)


class SlotsUnavailable(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The store can't be reached, or did not answer in time. Who is playing goes on."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event that has yet to reach the bus."""

    receipt: str
    """What `acknowledge` is given; receipts are in the order of the events."""
    event: Event


class SlotStore(Protocol):
    """Holds the sessions and their slots."""

    limits: Limits
    is_shared: bool
    """Whether other processes ask it, too: they know of a finished session only what it was told."""

    async def start(self, viewing: SessionRequest, *, instead_of: str | None = None) -> Outcome:
        """Asks for a slot.

        The user's limit comes first and counts sessions that wait; only the platform's limit queues; implicit sessions
        never queue; nobody passes a waiting viewer who could be granted. A session that is known already answers as it
        stands, and an implicit one finds the session of the same user, video and device key. Where a limit would refuse
        an implicit one, a finished session of the same user and device key gives way to it (`REPLACED`), the one that
        showed no sign of life for longest: whoever fetches video after video has one open.

        Args:
            viewing: who, what and where.
            instead_of: a session of the same user whose slot, or place in the queue, is taken over. It ends in the same
                step, or not at all. One that is over, or somebody else's, changes nothing.
        """

    async def renew(self, batch: Sequence[Renewal]) -> Mapping[str, SessionStatus]:
        """Tells of the signs of life and the bytes of sessions; answers how each stands now.

        A session that the store doesn't know and has no record of having ended (its data was lost) is taken back as
        long as the limits allow.

        Raises:
            SlotsUnavailable: nothing is known; the next renewal tells it all again.
        """

    async def stop(
        self,
        session_id: str,
        reason: EndReason,
        *,
        user_id: str | None = None,
        bytes_sent: int | None = None,
        by: Admin | None = None,
    ) -> Session | None:
        """Ends a session, playing or waiting; answers what it was, or None when there is none.

        Args:
            session_id: which.
            reason: why.
            user_id: only if it is this user's.
            bytes_sent: what this process has sent of it in all, if it served it.
            by: the administrator who wants it: the audit log is told in the same step.

        Raises:
            SlotsUnavailable: it may or may not have ended. It is remembered and done with a later renewal, which tells
                the audit log nothing.
        """

    async def fail(self, session_id: str, error_code: str, error_message: str) -> None:
        """Records an error of a session as an event, once a session and code. The session goes on.

        Raises:
            SlotsUnavailable: it may or may not be recorded.
        """

    async def get(self, session_id: str) -> SessionStatus:
        """How a session stands. No sign of life.

        Raises:
            SlotsUnavailable: the store can't be asked.
        """

    async def of_user(self, user_id: str) -> list[Session]:
        """A user's sessions, waiting ones included, oldest first.

        Raises:
            SlotsUnavailable: the store can't be asked.
        """

    async def all(self) -> list[Session]:
        """Every session: playing ones, oldest first, then waiting ones in their order.

        Raises:
            SlotsUnavailable: the store can't be asked.
        """

    async def opens_in(self) -> float:
        """Seconds until new sessions are granted: not 0 while the store finds out who is playing after a gap.

        Raises:
            SlotsUnavailable: the store can't be asked.
        """

    async def pending(self, limit: int, *, after: str = "") -> list[Outgoing]:
        """The oldest events that are not acknowledged, for the one relay that moves them to the bus.

        Of several replicas only one gets any; when it stops asking, another takes over. An event may come twice, under
        the same id.

        Args:
            limit: how many at most.
            after: a receipt; only later events are wanted.

        Raises:
            SlotsUnavailable: the store can't be asked.
        """

    async def acknowledge(self, receipts: Collection[str]) -> None:
        """Forgets events that the bus took charge of.

        Raises:
            SlotsUnavailable: they may come again.
        """

    async def ping(self) -> None:
        """Raises when the store can't be asked."""

    async def close(self) -> None:
        """Lets go of connections. Sessions stay."""


__all__ = [
    "Active",
    "EndReason",
    "Ended",
    "Kind",
    "LimitReached",
    "Limits",
    "Outcome",
    "Outgoing",
    "Queued",
    "Renewal",
    "Scope",
    "Session",
    "SessionRequest",
    "SessionStatus",
    "SlotStore",
    "SlotsUnavailable",
    "State",
    "Unavailable",
]
