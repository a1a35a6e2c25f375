"""One play session as this process knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import NamedTuple, Protocol

from services.stream.slots import Active, EndReason, Kind, Queued, Renewal, Session, State

STALLED_SEC = 600.0
"""How long an unfinished response counts as a sign of life while no byte moves."""

_LONG_GONE_SEC = 86_400.0


class ClientKey(NamedTuple):
    """Identifies the client of an implicit session: many connections of one client are one session."""

    user_id: str
    video_id: str
    address: str
    user_agent: bytes


class Response(Protocol):
    """A response that is being sent."""

    def cut_off(self) -> None:
        """End it, and its connection, short of what it promised."""


@dataclass(slots=True)
class ReportedQoe:
    """What the player has reported so far, as sums since the session began."""

    has_started: bool = False
    stalls: int = 0
    dropped_frames: int = 0


class LocalSession:
    """A session that this process serves, or keeps for a viewer who waits, from its first request to its last byte.

    Plain attributes, as they change with every block that is sent.

    Args:
        status: as the store has it.
        login_session_id: the login session that it belongs to; empty where there is none.
        renew_soon: called to have it renewed before the next tick.
    """

    __slots__ = (
        "_idle",
        "_renew_soon",
        "asset_id",
        "bytes_sent",
        "clients",
        "ended",
        "errors",
        "is_active",
        "is_finished",
        "login_session_id",
        "must_check",
        "path",
        "queued",
        "reached_end",
        "reported_qoe",
        "responses",
        "seen_at",
        "session",
        "was_completed",
    )

    def __init__(
        self, status: Active | Queued, login_session_id: str, renew_soon: Callable[[], None] = lambda: None
    ) -> None:
        self.login_session_id = login_session_id
        self._renew_soon = renew_soon
        self.was_completed = False
        """Whether its last response is over, and complete."""
        self.reached_end = False
        """Whether that response went up to the end of the file."""
        self.is_finished = False
        """Whether renewals report that nothing more of it is sent here."""
        self.must_check = False
        """Whether the store has to be asked before anything more is sent: the session may have given way."""
        self.bytes_sent = 0
        """Body bytes that this process sent of it."""
        idle_sec = (datetime.now(UTC) - status.session.seen_at).total_seconds()
        self.seen_at = perf_counter() - max(idle_sec, 0.0)
        """Its last sign of life, as far as this process knows."""
        self.responses: set[Response] = set()
        """The responses with bytes of it that are under way."""
        self.clients: set[ClientKey] = set()
        """The clients that it is registered for here, if it is an implicit one."""
        self.ended: EndReason | None = None
        """Why it ended; None while it may be served."""
        self._idle: asyncio.Event | None = None
        self.errors: set[str] = set()
        """The codes of its errors that were reported."""
        self.reported_qoe = ReportedQoe()
        self.path = ""
        """The path of its URL, up to the ticket; empty until that was needed here."""
        self.asset_id = ""
        """The pack that its tickets open; empty for a plain film."""
        self.update(status)

    def update(self, status: Active | Queued) -> None:
        """Take over the status that the store has."""
        self.session: Session = status.session
        self.queued = status if isinstance(status, Queued) else None
        """Its place in the queue, if it waits."""
        self.is_active = self.ended is None and status.session.state is State.ACTIVE
        """Whether it may have bytes."""

    def end_response(self, response: Response, *, completed: bool, reached_end: bool) -> None:
        """Record that a response is over.

        Args:
            response: the response.
            completed: whether all of it was sent.
            reached_end: whether it went up to the end of the file.
        """
        self.responses.discard(response)
        self.was_completed = completed
        self.reached_end = reached_end
        if reached_end and self.can_finish():
            self._renew_soon()
        if self._idle is not None and not self.responses:
            self._idle.set()

    async def wait_until_idle(self) -> None:
        """Wait until no response is under way."""
        if self.responses:
            self._idle = self._idle or asyncio.Event()
            await self._idle.wait()

    def end(self, reason: EndReason) -> None:
        """Serve nothing of it any more: end its responses."""
        self.ended = reason
        self.is_active = False
        for response in tuple(self.responses):
            response.cut_off()

    def touch(self) -> None:
        """Record a sign of life."""
        self.seen_at = perf_counter()

    def is_idle_for(self, seconds: float) -> bool:
        """Return whether it has shown no sign of life for so long; an unfinished response counts as in `renewal`."""
        return perf_counter() - self.seen_at > (STALLED_SEC if self.responses else seconds)

    def can_finish(self) -> bool:
        """Return whether its client may be done: implicit, no response under way, and the last one complete."""
        is_implicit = self.session.request.kind is Kind.IMPLICIT
        return is_implicit and self.was_completed and not self.responses and not self.ended

    def finish(self) -> None:
        """Send nothing more of it without asking the store, to which renewals report so from now on."""
        self.is_finished = self.must_check = True

    def resume(self) -> None:
        """Report to the store, with the next renewal, that it is not finished; the store still has to be asked."""
        self.is_finished = self.was_completed = False

    def renewal(self, now: float) -> Renewal:
        """Return what to report to the store."""
        if self.ended:
            # Its bytes count, but it must not come back.
            return Renewal(self.session, self.bytes_sent, _LONG_GONE_SEC)
        idle_sec = max(now - self.seen_at, 0.0)
        # A client may pause, or have received much at once: a response that it has yet to finish is a sign of life.
        is_receiving = self.responses and idle_sec < STALLED_SEC
        return Renewal(self.session, self.bytes_sent, 0.0 if is_receiving else idle_sec, self.is_finished)
