"""Sessions of one replica, in a world whose clock a test sets."""

from __future__ import annotations

from datetime import datetime, tzinfo

import pytest

from kit.auth.tokens import Caller
from kit.ids import new_id
from marquee.events.v1 import stream_pb2
from services.stream.sessions import LocalSession, SessionRegistry, Sessions, WatchTarget
from services.stream.sessions.tickets import Ticket, Tickets
from services.stream.slots import Limits, SessionRequest, SlotsUnavailableError, StartResult, Unavailable
from services.stream.slots.memory import REPLICA, MemorySlots

LIMITS = Limits(platform=4, per_user=3, queue=2, idle_sec=30)
FILM = WatchTarget(new_id(), "nas")
ANN = Caller("ann", "member", "active", "", "login-of-ann")
BOB = Caller("bob", "member", "active", "", "")
TICK = LIMITS.tick_sec


class Slots(MemorySlots):
    """A store that counts operations, and can be away."""

    asked = 0
    is_away = False

    def _advance(self) -> None:
        self.asked += 1
        if self.is_away:
            raise SlotsUnavailableError("away")
        super()._advance()

    async def start(self, request: SessionRequest, *, instead_of: str | None = None) -> StartResult:
        """Return Unavailable instead of raising, as the port says."""
        return Unavailable(1) if self.is_away else await super().start(request, instead_of=instead_of)

    def forget(self) -> None:
        """Lose all data."""
        for kept in (self._active, self._queue, self._ended, self._outbox):
            kept.clear()


class Response:
    """A response whose client takes its time."""

    def __init__(self, local_session: LocalSession) -> None:
        self.local_session = local_session
        self.is_cut_off = False
        local_session.responses.add(self)

    def cut_off(self) -> None:
        self.is_cut_off = True
        self.local_session.bytes_sent += 5
        self.local_session.end_response(self, completed=True, reached_end=False)


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0
        self.slots = Slots(LIMITS, lambda: self.now)
        self.registry = SessionRegistry(self.slots, REPLICA)
        self.tickets = Tickets(b"k" * 32, lambda: self.now)
        self.sessions = Sessions(self.slots, self.registry, self.tickets)
        for module in ("local_session", "registry", "service"):
            monkeypatch.setattr(f"services.stream.sessions.{module}.perf_counter", lambda: self.now)

    def another_replica(self) -> Sessions:
        """Return the sessions of another replica on the same slots."""
        return Sessions(self.slots, SessionRegistry(self.slots, "another"), self.tickets)

    async def wait(self, sec: float) -> None:
        """Let time pass, with a renewal at each tick."""
        while sec > 0:
            self.now += min(sec, TICK)
            sec -= TICK
            await self.registry.renew()

    def ticket(self, local_session: LocalSession, caller: Caller = ANN) -> Ticket:
        return self.tickets.verify(self.sessions.ticket(local_session, caller)[0])

    async def stopped(self) -> list[tuple[str, int]]:
        """Return reason and bytes of the sessions that have stopped, by their events."""
        events = [each.event for each in await self.slots.pending(100)]
        bodies = [event.read(stream_pb2.StreamStopped) for event in events if event.type == "stream.stopped"]
        return [(body.reason, body.bytes_transferred) for body in bodies]


class Clock:
    """What `datetime` is to those who ask for the time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self, zone: tzinfo) -> datetime:
        return datetime.fromtimestamp(self._world.now, zone)
