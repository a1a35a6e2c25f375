"""The slots of one process, in its memory: for embedded mode, where nobody else serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from kit.audit import Admin
from kit.events.envelope import Event
from services.stream.slots import Outgoing, events
from services.stream.slots.events import NOBODY, TraceContext
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
    from_ms,
    to_ms,
)

REPLICA = "embedded"


@dataclass(slots=True)
class _Entry:
    """A session, playing or waiting. Times in milliseconds since 1970."""

    viewing: SessionRequest
    started_ms: int
    seen_ms: int
    lease_ms: int
    state: State = State.QUEUED
    order: int = 0
    """Its place among those that wait: the lowest is next."""
    bytes_sent: int = 0
    is_finished: bool = False
    """Whether it gives way to its client's next video."""
    errors: set[str] = field(default_factory=set)
    """The codes of errors that were told already."""

    @property
    def id(self) -> str:
        """Of the session."""
        return self.viewing.session_id


class MemorySlots:
    """Answers `SlotStore` from dictionaries. No operation awaits anything, so each is atomic.

    The process being stopped, or its clock set, for longer than two ticks ends nobody's session: leases begin anew.
    Sessions die with the process, as does whatever it was serving; so unlike Redis, which may forget what others serve,
    it never has to refuse newcomers until it knows.

    Args:
        limits: how many may watch.
        clock: seconds since 1970.
    """

    is_shared = False

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self.limits = limits
        self._clock = clock
        self._idle_ms = round(limits.idle_sec * 1000)
        self._gap_ms = round(limits.gap_sec * 1000)
        self._tombstone_ms = round(limits.tombstone_sec * 1000)
        self._now = self._read_clock()
        self._active: dict[str, _Entry] = {}
        self._queue: dict[str, _Entry] = {}
        self._ended: dict[str, tuple[EndReason, int]] = {}
        """Why sessions ended and until when that is remembered, oldest first."""
        self._outbox: dict[int, Event] = {}
        self._last_receipt = 0

    async def start(self, viewing: SessionRequest, *, instead_of: str | None = None) -> Outcome:
        """See `SlotStore`."""
        self._advance()
        own = self._own(viewing.user_id)
        if known := self._entry(viewing.session_id) or _same_client(own, viewing):
            self._touch(known, self._now)
            known.is_finished = False
            return self._standing(known)
        if viewing.session_id in self._ended:
            return Unavailable(self.limits.tick_sec)
        old = self._entry(instead_of or "")
        if old and old.viewing.user_id != viewing.user_id:
            old = None
        if old is None and (len(own) >= self.limits.per_user or len(self._active) >= self.limits.platform):
            old = _finished(own, viewing)
        if len(own) - bool(old) >= self.limits.per_user:
            return _refusal(Scope.USER, self.limits.per_user, own)
        inherits_slot = old is not None and old.state is State.ACTIVE
        has_room = inherits_slot or len(self._active) < self.limits.platform
        if not has_room and not self._may_wait(viewing, old):
            return _refusal(Scope.SERVER, self.limits.platform, own)
        entry = self._new_entry(viewing)
        if old:
            entry.order = old.order
            self._end(old, EndReason.REPLACED, self._now, TraceContext.here())
        if has_room:
            self._grant(entry, TraceContext.here())
        else:
            self._enqueue(entry)
        return self._standing(entry)

    async def renew(self, batch: Sequence[Renewal]) -> Mapping[str, SessionStatus]:
        """See `SlotStore`."""
        self._advance()
        for renewal in batch:
            seen_ms = self._now - round(renewal.idle_sec * 1000)
            entry = self._entry(renewal.session.id) or self._take_back(renewal.session, seen_ms)
            if entry:
                self._touch(entry, seen_ms)
                entry.is_finished = renewal.is_finished
                entry.bytes_sent = max(entry.bytes_sent, renewal.bytes_sent)
        self._promote()
        return {each.session.id: self._find(each.session.id) for each in batch}

    async def stop(
        self,
        session_id: str,
        reason: EndReason,
        *,
        user_id: str | None = None,
        bytes_sent: int | None = None,
        by: Admin | None = None,
    ) -> Session | None:
        """See `SlotStore`."""
        self._advance()
        entry = self._entry(session_id)
        if entry is None or user_id not in {None, entry.viewing.user_id}:
            return None
        entry.bytes_sent = max(entry.bytes_sent, bytes_sent or 0)
        if by:
            self._emit(events.stopped_by(by, entry.viewing, self._now, TraceContext.here()))
        self._end(entry, reason, self._now, TraceContext.here())
        self._promote()
        return _session(entry)

    async def fail(self, session_id: str, error_code: str, error_message: str) -> None:
        """See `SlotStore`."""
        self._advance()
        entry = self._entry(session_id)
        if entry and error_code not in entry.errors:
            entry.errors.add(error_code)
            self._emit(events.failed(entry.viewing, self._now, error_code, error_message, TraceContext.here()))

    async def get(self, session_id: str) -> SessionStatus:
        """See `SlotStore`."""
        self._advance()
        return self._find(session_id)

    async def of_user(self, user_id: str) -> list[Session]:
        """See `SlotStore`."""
        self._advance()
        return sorted(map(_session, self._own(user_id)), key=_age)

    async def all(self) -> list[Session]:
        """See `SlotStore`."""
        self._advance()
        return [*sorted(map(_session, self._active.values()), key=_age), *map(_session, self._waiting())]

    async def opens_in(self) -> float:
        """See `SlotStore`."""
        return 0.0

    async def pending(self, limit: int, *, after: str = "") -> list[Outgoing]:
        """See `SlotStore`."""
        self._advance()
        later = (number for number in self._outbox if number > int(after or 0))
        return [Outgoing(str(number), self._outbox[number]) for number in islice(later, limit)]

    async def acknowledge(self, receipts: Collection[str]) -> None:
        """See `SlotStore`."""
        for receipt in receipts:
            self._outbox.pop(int(receipt), None)

    async def ping(self) -> None:
        """Does nothing: memory is there."""

    async def close(self) -> None:
        """Does nothing: nothing is held open."""

    # Time

    def _read_clock(self) -> int:
        return int(self._clock() * 1000)

    def _advance(self) -> None:
        """Brings everything up to now; the first step of each operation."""
        before, self._now = self._now, self._read_clock()
        if not 0 <= self._now - before <= self._gap_ms:
            self._begin_anew()
        silent = [each for each in (*self._active.values(), *self._queue.values()) if each.lease_ms <= self._now]
        for entry in sorted(silent, key=lambda each: (each.lease_ms, each.id)):
            self._end(entry, EndReason.EXPIRED, entry.seen_ms)
        while self._ended and (oldest := next(iter(self._ended))) and self._ended[oldest][1] <= self._now:
            del self._ended[oldest]
        self._promote()

    def _begin_anew(self) -> None:
        """After a gap nobody knows who would have shown a sign of life meanwhile."""
        for entry in (*self._active.values(), *self._queue.values()):
            entry.lease_ms = self._now + self._idle_ms
            entry.seen_ms = min(entry.seen_ms, self._now)
        self._ended = {each: (reason, self._now + self._tombstone_ms) for each, (reason, _) in self._ended.items()}

    def _touch(self, entry: _Entry, seen_ms: int) -> None:
        entry.seen_ms = max(entry.seen_ms, seen_ms)
        entry.lease_ms = max(entry.lease_ms, seen_ms + self._idle_ms)

    # Places

    def _new_entry(self, viewing: SessionRequest) -> _Entry:
        last = max((each.order for each in self._queue.values()), default=0)
        return _Entry(viewing, self._now, self._now, self._now + self._idle_ms, order=max(self._now * 1000, last + 1))

    def _may_wait(self, viewing: SessionRequest, old: _Entry | None) -> bool:
        return viewing.kind is Kind.EXPLICIT and len(self._queue) - bool(old) < self.limits.queue

    def _take_back(self, session: Session, seen_ms: int) -> _Entry | None:
        """A session that was forgotten, as far as there is room; a new one would get no more."""
        if session.id in self._ended or seen_ms + self._idle_ms <= self._now:
            return None
        own = self._own(session.viewing.user_id)
        entry = self._new_entry(session.viewing)
        entry.started_ms, entry.seen_ms, entry.lease_ms = to_ms(session.started_at), seen_ms, seen_ms + self._idle_ms
        if session.state is State.ACTIVE:
            playing = sum(each.state is State.ACTIVE for each in own)
            if len(self._active) >= self.limits.platform or playing >= self.limits.per_user:
                return None
            self._activate(entry)
        else:
            if len(self._queue) >= self.limits.queue or len(own) >= self.limits.per_user:
                return None
            entry.order = entry.started_ms * 1000
            self._enqueue(entry)
        return entry

    def _enqueue(self, entry: _Entry) -> None:
        self._queue[entry.id] = entry

    def _grant(self, entry: _Entry, cause: TraceContext = NOBODY) -> None:
        entry.started_ms = entry.seen_ms = self._now
        entry.lease_ms = self._now + self._idle_ms
        self._activate(entry, cause)

    def _activate(self, entry: _Entry, cause: TraceContext = NOBODY) -> None:
        entry.state = State.ACTIVE
        self._active[entry.id] = entry
        self._emit(events.started(entry.viewing, entry.started_ms, cause))

    def _promote(self) -> None:
        """Free slots go to the head of the queue; a user who plays as many as allowed is passed over."""
        for entry in self._waiting():
            if len(self._active) >= self.limits.platform:
                return
            own = self._own(entry.viewing.user_id)
            if sum(each.state is State.ACTIVE for each in own) < self.limits.per_user:
                del self._queue[entry.id]
                self._grant(entry)

    def _end(self, entry: _Entry, reason: EndReason, at_ms: int, cause: TraceContext = NOBODY) -> None:
        self._queue.pop(entry.id, None)
        self._ended[entry.id] = (reason, self._now + self._tombstone_ms)
        if self._active.pop(entry.id, None):
            self._emit(
                events.stopped(
                    entry.viewing,
                    at_ms,
                    started_ms=entry.started_ms,
                    bytes_sent=entry.bytes_sent,
                    reason=reason,
                    cause=cause,
                )
            )

    def _emit(self, event: Event) -> None:
        self._last_receipt += 1
        self._outbox[self._last_receipt] = event

    # Looking things up

    def _entry(self, session_id: str) -> _Entry | None:
        return self._active.get(session_id) or self._queue.get(session_id)

    def _own(self, user_id: str) -> list[_Entry]:
        return [each for each in (*self._active.values(), *self._queue.values()) if each.viewing.user_id == user_id]

    def _waiting(self) -> list[_Entry]:
        return sorted(self._queue.values(), key=lambda each: (each.order, each.id))

    def _find(self, session_id: str) -> SessionStatus:
        if entry := self._entry(session_id):
            return self._standing(entry)
        return Ended(self._ended[session_id][0] if session_id in self._ended else EndReason.UNKNOWN)

    def _standing(self, entry: _Entry) -> Active | Queued:
        if entry.state is State.ACTIVE:
            return Active(_session(entry))
        return Queued(_session(entry), self._waiting().index(entry) + 1, self.limits.tick_sec)


def _same_client(own: Sequence[_Entry], viewing: SessionRequest) -> _Entry | None:
    """The session of a user that another request of an implicit one belongs to."""
    if viewing.kind is Kind.EXPLICIT:
        return None
    client = viewing.video_id, viewing.device_key
    for entry in own:
        known = entry.viewing
        if known.kind is Kind.IMPLICIT and (known.video_id, known.device_key) == client:
            return entry
    return None


def _finished(own: Sequence[_Entry], viewing: SessionRequest) -> _Entry | None:
    """The session of a user that gives way to an implicit one: finished, and of the same device."""
    if viewing.kind is Kind.EXPLICIT:
        return None
    finished = [each for each in own if each.is_finished and each.viewing.device_key == viewing.device_key]
    return min(finished, key=lambda each: (each.seen_ms, each.id), default=None)


def _refusal(scope: Scope, limit: int, own: Sequence[_Entry]) -> LimitReached:
    return LimitReached(scope, limit, tuple(sorted(map(_session, own), key=_age)))


def _age(session: Session) -> tuple[datetime, str]:
    return session.started_at, session.id


def _session(entry: _Entry) -> Session:
    return Session(
        viewing=entry.viewing,
        state=entry.state,
        replica=REPLICA,
        started_at=from_ms(entry.started_ms),
        seen_at=from_ms(entry.seen_ms),
        bytes_sent=entry.bytes_sent,
    )
