"""One play session as this process knows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from services.stream.slots import Active, EndReason, Kind, Queued, Renewal, Session, State

STALLED_SEC = 600.0
"""How long an unfinished answer counts as life while no byte moves."""

_LONG_GONE_SEC = 86_400.0

monotonic = time.perf_counter
"""Seconds; the clock of `traffic`, too."""


class Client(NamedTuple):
    """What an implicit session is known by: many connections of one client are one session."""

    user_id: str
    video_id: str
    address: str
    user_agent: bytes


class Response(Protocol):
    """An answer that is being sent."""

    def cut_off(self) -> None:
        """Ends it, and its connection, short of what it promised."""


@dataclass(slots=True)
class Experience:
    """What its player has told of it so far; what it tells are sums since the session began."""

    has_started: bool = False
    stalls: int = 0
    dropped_frames: int = 0


class LocalSession:
    """A session that this process serves, or keeps for a viewer who waits, from its first request to its last byte.

    Plain attributes, as they change with every block that is sent.

    Args:
        standing: as the store has it.
        login_id: the login that it belongs to; empty where there is none.
        tell_soon: has the store told of it before the next tick.
    """

    __slots__ = (
        "_quiet",
        "_tell_soon",
        "bytes_sent",
        "clients",
        "ended",
        "errors",
        "experience",
        "is_active",
        "is_finished",
        "login_session_id",
        "must_ask",
        "path",
        "place",
        "reached_end",
        "responses",
        "seen_at",
        "session",
        "was_completed",
    )

    def __init__(
        self, status: Active | Queued, login_session_id: str, tell_soon: Callable[[], None] = lambda: None
    ) -> None:
        self.login_session_id = login_session_id
        self._tell_soon = tell_soon
        self.was_completed = False
        """Whether its last answer is over, and complete."""
        self.reached_end = False
        """Whether that answer went up to the end of the file."""
        self.is_finished = False
        """Whether the store is told that nothing more of it is sent here."""
        self.must_ask = False
        """Whether the store has to be asked before anything more is sent: it may have given way."""
        self.bytes_sent = 0
        """Body bytes that this process sent of it."""
        silence_sec = (datetime.now(UTC) - status.session.seen_at).total_seconds()
        self.seen_at = monotonic() - max(silence_sec, 0.0)
        """Its last sign of life, as far as this process knows."""
        self.responses: set[Response] = set()
        """The answers with bytes of it that are under way."""
        self.clients: set[Client] = set()
        """Those that it is known by here, if it is an implicit one."""
        self.ended: EndReason | None = None
        """Why nothing of it is served any more."""
        self._quiet: asyncio.Event | None = None
        self.errors: set[str] = set()
        """The codes of its errors that were told."""
        self.experience = Experience()
        self.path = ""
        """Where its player finds it, up to the ticket; empty until that was needed here."""
        self.stands(status)

    def stands(self, status: Active | Queued) -> None:
        """Takes over what the store says."""
        self.session: Session = status.session
        self.place = status if isinstance(status, Queued) else None
        """Where it waits, if it does."""
        self.is_active = self.ended is None and status.session.state is State.ACTIVE
        """Whether it may have bytes."""

    def done(self, response: Response, *, completed: bool, reached_end: bool) -> None:
        """An answer is over.

        Args:
            response: which.
            completed: whether all of it was sent.
            reached_end: whether it went up to the end of the file.
        """
        self.responses.discard(response)
        self.was_completed = completed
        self.reached_end = reached_end
        if reached_end and self.can_finish():
            self._tell_soon()
        if self._quiet is not None and not self.responses:
            self._quiet.set()

    async def quiet(self) -> None:
        """Waits until no answer is under way."""
        if self.responses:
            self._quiet = self._quiet or asyncio.Event()
            await self._quiet.wait()

    def end(self, reason: EndReason) -> None:
        """Serves nothing of it any more."""
        self.ended = reason
        self.is_active = False
        for response in tuple(self.responses):
            response.cut_off()

    def touch(self) -> None:
        """Takes note of a sign of life."""
        self.seen_at = monotonic()

    def is_silent(self, seconds: float) -> bool:
        """Whether it has shown no sign of life for so long; an unfinished answer counts as in `renewal`."""
        return monotonic() - self.seen_at > (STALLED_SEC if self.responses else seconds)

    def can_finish(self) -> bool:
        """Whether its client may be done: it is an implicit one, nothing is under way, the last answer complete."""
        is_implicit = self.session.request.kind is Kind.IMPLICIT
        return is_implicit and self.was_completed and not self.responses and not self.ended

    def finish(self) -> None:
        """Send nothing more of it without asking the store, which is told so from now on."""
        self.is_finished = self.must_ask = True

    def resume(self) -> None:
        """Have the store told that it is not finished; it still has to be asked."""
        self.is_finished = self.was_completed = False

    def renewal(self, now: float) -> Renewal:
        """What to tell the store of it."""
        if self.ended:
            # Its bytes count, but it must not come back.
            return Renewal(self.session, self.bytes_sent, _LONG_GONE_SEC)
        idle_sec = max(now - self.seen_at, 0.0)
        # A client may pause, or have taken in much at once: what it has yet to take says that it is still there.
        is_taking = self.responses and idle_sec < STALLED_SEC
        return Renewal(self.session, self.bytes_sent, 0.0 if is_taking else idle_sec, self.is_finished)
