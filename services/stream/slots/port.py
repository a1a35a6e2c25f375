"""The port of the slots: which sessions may stream now, exactly, however many replicas serve.

Two adapters implement it, `MemorySlots` (one process) and `RedisSlots` (any number of replicas). Every operation is
atomic and begins by bringing the store up to date: sessions without a sign of life end, and freed slots go to the head
of the queue.

How a replica uses it:

- `start` for a new session. The replica keeps what is answered as `Active` or `Queued`, with the bytes it sent, until
  `renew` answers `Ended` for it.
- `get` once for a session that it doesn't know (another replica started it); after that no request asks the store. If
  the answer is `Ended(UNKNOWN)` and its ticket is good, `renew` may bring it back.
- `renew` at least every `Limits.tick_sec` with all that it keeps, even when that is nothing: the store takes two ticks
  of silence for an outage. Responses of sessions that ended are aborted, and the next renewal reports their last bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kit.audit import Admin
from kit.events.envelope import Event
from services.stream.slots.models import (
    EndReason,
    Limits,
    Renewal,
    Session,
    SessionRequest,
    SessionStatus,
    StartResult,
)


class SlotsUnavailableError(Exception):
    """The store can't be reached, or did not answer in time. Sessions that are playing go on."""

    is_expected = True


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event that has yet to reach the bus."""

    receipt: str
    """The argument of `acknowledge`; receipts are in the order of the events."""
    event: Event


class SlotStore(Protocol):
    """Hold the sessions and their slots."""

    limits: Limits
    is_shared: bool
    """Whether other processes use it, too: they know that a session is finished only when the store says so."""

    async def start(self, request: SessionRequest, *, instead_of: str | None = None) -> StartResult:
        """Ask for a slot.

        The user's limit comes first and counts sessions that wait; only the platform's limit queues; implicit sessions
        never queue; no newcomer passes a waiting viewer who could be granted. A session that exists already answers
        with its status, and an implicit request finds the session of the same user, video and device key. Where a limit
        would refuse an implicit request, a finished session of the same user and device key gives way to it
        (`REPLACED`), the one that showed no sign of life for longest: a client that fetches video after video has one
        open.

        Args:
            request: user, video and device.
            instead_of: a session of the same user whose slot, or place in the queue, is taken over. It ends in the same
                step, or not at all. One that is over, or another user's, changes nothing.
        """

    async def renew(self, batch: Sequence[Renewal]) -> Mapping[str, SessionStatus]:
        """Report signs of life and bytes of sessions; return the status of each by session id.

        A session that the store doesn't know and has no record of having ended (its data was lost) is restored as long
        as the limits allow.

        Raises:
            SlotsUnavailableError: nothing is known; the next renewal reports it all again.
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
        """End a session, playing or waiting; return its last state, or None when there is none.

        Args:
            session_id: the session.
            reason: why it ends.
            user_id: only if it is this user's.
            bytes_sent: what this process has sent of it in all, if it served it.
            by: the administrator who stops it; the event for the audit log is recorded in the same step.

        Raises:
            SlotsUnavailableError: it may or may not have ended. The stop is remembered and sent with a later renewal,
                which records nothing for the audit log.
        """

    async def fail(self, session_id: str, error_code: str, error_message: str) -> None:
        """Record an error of a session as an event, once for each session and code. The session goes on.

        Raises:
            SlotsUnavailableError: it may or may not be recorded.
        """

    async def get(self, session_id: str) -> SessionStatus:
        """Return the status of a session. This is no sign of life.

        Raises:
            SlotsUnavailableError: the store can't be asked.
        """

    async def of_user(self, user_id: str) -> list[Session]:
        """Return a user's sessions, waiting ones included, oldest first.

        Raises:
            SlotsUnavailableError: the store can't be asked.
        """

    async def all(self) -> list[Session]:
        """Return every session: playing ones, oldest first, then waiting ones in their order.

        Raises:
            SlotsUnavailableError: the store can't be asked.
        """

    async def seconds_until_accepting(self) -> float:
        """Return the seconds until new sessions are granted.

        It is not 0 after the store may have lost data, while it waits for the replicas to report which sessions they
        serve.

        Raises:
            SlotsUnavailableError: the store can't be asked.
        """

    async def pending(self, limit: int, *, after: str = "") -> list[Outgoing]:
        """Return the oldest events that are not acknowledged, for the one relay that moves them to the bus.

        Of several replicas only one gets any; when it stops asking, another takes over. An event may be returned twice,
        under the same id.

        Args:
            limit: how many at most.
            after: a receipt; only later events are returned.

        Raises:
            SlotsUnavailableError: the store can't be asked.
        """

    async def acknowledge(self, receipts: Collection[str]) -> None:
        """Delete events that the bus took charge of.

        Raises:
            SlotsUnavailableError: they may come again.
        """

    async def ping(self) -> None:
        """Raise SlotsUnavailableError when the store can't be asked."""

    async def close(self) -> None:
        """Close connections. Sessions stay."""
