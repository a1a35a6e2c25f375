"""The slots of one process, in its memory: for embedded mode, where no other process serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from kit.audit import Admin
from kit.events.envelope import Event
from services.stream.slots import events
from services.stream.slots.events import NO_REQUEST, TraceContext
from services.stream.slots.models import (
    Active,
    Ended,
    EndReason,
    Kind,
    LimitReached,
    Limits,
    Queued,
    Renewal,
    Scope,
    Session,
    SessionRequest,
    SessionStatus,
    StartResult,
    State,
    Unavailable,
    from_ms,
    to_ms,
)
from services.stream.slots.port import Outgoing

REPLICA = "embedded"


@dataclass(slots=True)
class _Entry:
    """A session, playing or waiting. Times in milliseconds since 1970."""

    request: SessionRequest
    started_ms: int
    seen_ms: int
    lease_ms: int
    state: State = State.QUEUED
    order: int = 0
    """Its rank in the queue: the lowest is next."""
    bytes_sent: int = 0
    is_finished: bool = False
    """Whether it gives way to its client's next video."""
    errors: set[str] = field(default_factory=set)
    """The codes of errors that have an event already."""

    @property
    def id(self) -> str:
        """Return the session's id."""
        return self.request.session_id


class MemorySlots:
    """Implement `SlotStore` with dictionaries. No operation awaits anything, so each is atomic.

    The process being stopped, or its clock set, for longer than two ticks ends no session: leases begin anew.
    Sessions end with the process, as do the responses that it was sending; so unlike Redis, which may forget what
    others serve, it never has to refuse newcomers until it knows.

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
        """Why sessions ended, and until when (ms since 1970) that is remembered; oldest first."""
        self._outbox: dict[int, Event] = {}
        self._last_receipt = 0

    async def start(self, request: SessionRequest, *, instead_of: str | None = None) -> StartResult:
        """Implement `SlotStore`."""
        self._advance()
        own = self._entries_of_user(request.user_id)
        if existing := self._entry(request.session_id) or _same_client(own, request):
            self._touch(existing, self._now)
            existing.is_finished = False
            return self._status_of(existing)
        if request.session_id in self._ended:
            return Unavailable(self.limits.tick_sec)
        old = self._entry(instead_of or "")
        if old and old.request.user_id != request.user_id:
            old = None
        if old is None and (len(own) >= self.limits.per_user or len(self._active) >= self.limits.platform):
            old = _finished_session(own, request)
        if len(own) - bool(old) >= self.limits.per_user:
            return _limit_reached(Scope.USER, self.limits.per_user, own)
        inherits_slot = old is not None and old.state is State.ACTIVE
        has_room = inherits_slot or len(self._active) < self.limits.platform
        if not has_room and not self._may_wait(request, old):
            return _limit_reached(Scope.SERVER, self.limits.platform, own)
        entry = self._new_entry(request)
        if old:
            entry.order = old.order
            self._end(old, EndReason.REPLACED, self._now, TraceContext.current())
        if has_room:
            self._grant(entry, TraceContext.current())
        else:
            self._enqueue(entry)
        return self._status_of(entry)

    async def renew(self, batch: Sequence[Renewal]) -> Mapping[str, SessionStatus]:
        """Implement `SlotStore`."""
        self._advance()
        for renewal in batch:
            seen_ms = self._now - round(renewal.idle_sec * 1000)
            entry = self._entry(renewal.session.id) or self._restore(renewal.session, seen_ms)
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
        """Implement `SlotStore`."""
        self._advance()
        entry = self._entry(session_id)
        if entry is None or user_id not in {None, entry.request.user_id}:
            return None
        entry.bytes_sent = max(entry.bytes_sent, bytes_sent or 0)
        if by:
            self._emit(events.stopped_by(by, entry.request, self._now, TraceContext.current()))
        self._end(entry, reason, self._now, TraceContext.current())
        self._promote()
        return _session(entry)

    async def fail(self, session_id: str, error_code: str, error_message: str) -> None:
        """Implement `SlotStore`."""
        self._advance()
        entry = self._entry(session_id)
        if entry and error_code not in entry.errors:
            entry.errors.add(error_code)
            self._emit(events.failed(entry.request, self._now, error_code, error_message, TraceContext.current()))

    async def get(self, session_id: str) -> SessionStatus:
        """Implement `SlotStore`."""
        self._advance()
        return self._find(session_id)

    async def of_user(self, user_id: str) -> list[Session]:
        """Implement `SlotStore`."""
        self._advance()
        return sorted(map(_session, self._entries_of_user(user_id)), key=_age)

    async def all(self) -> list[Session]:
        """Implement `SlotStore`."""
        self._advance()
        return [*sorted(map(_session, self._active.values()), key=_age), *map(_session, self._waiting())]

    async def seconds_until_accepting(self) -> float:
        """Implement `SlotStore`."""
        return 0.0

    async def pending(self, limit: int, *, after: str = "") -> list[Outgoing]:
        """Implement `SlotStore`."""
        self._advance()
        later = (number for number in self._outbox if number > int(after or 0))
        return [Outgoing(str(number), self._outbox[number]) for number in islice(later, limit)]

    async def acknowledge(self, receipts: Collection[str]) -> None:
        """Implement `SlotStore`."""
        for receipt in receipts:
            self._outbox.pop(int(receipt), None)

    async def ping(self) -> None:
        """Do nothing: memory is always available."""

    async def close(self) -> None:
        """Do nothing: nothing is held open."""

    # Time

    def _read_clock(self) -> int:
        return int(self._clock() * 1000)

    def _advance(self) -> None:
        """Bring everything up to now; the first step of each operation."""
        before, self._now = self._now, self._read_clock()
        if not 0 <= self._now - before <= self._gap_ms:
            self._restart_leases()
        expired = [each for each in (*self._active.values(), *self._queue.values()) if each.lease_ms <= self._now]
        for entry in sorted(expired, key=lambda each: (each.lease_ms, each.id)):
            self._end(entry, EndReason.EXPIRED, entry.seen_ms)
        while self._ended and (oldest := next(iter(self._ended))) and self._ended[oldest][1] <= self._now:
            del self._ended[oldest]
        self._promote()

    def _restart_leases(self) -> None:
        """Give every session a new lease: after a gap it is unknown which would have shown a sign of life meanwhile."""
        for entry in (*self._active.values(), *self._queue.values()):
            entry.lease_ms = self._now + self._idle_ms
            entry.seen_ms = min(entry.seen_ms, self._now)
        self._ended = {each: (reason, self._now + self._tombstone_ms) for each, (reason, _) in self._ended.items()}

    def _touch(self, entry: _Entry, seen_ms: int) -> None:
        entry.seen_ms = max(entry.seen_ms, seen_ms)
        entry.lease_ms = max(entry.lease_ms, seen_ms + self._idle_ms)

    # Slots and the queue

    def _new_entry(self, request: SessionRequest) -> _Entry:
        last = max((each.order for each in self._queue.values()), default=0)
        return _Entry(request, self._now, self._now, self._now + self._idle_ms, order=max(self._now * 1000, last + 1))

    def _may_wait(self, request: SessionRequest, old: _Entry | None) -> bool:
        return request.kind is Kind.EXPLICIT and len(self._queue) - bool(old) < self.limits.queue

    def _restore(self, session: Session, seen_ms: int) -> _Entry | None:
        """Restore a session that the store lost, if the limits that a new one meets allow it."""
        if session.id in self._ended or seen_ms + self._idle_ms <= self._now:
            return None
        own = self._entries_of_user(session.request.user_id)
        entry = self._new_entry(session.request)
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

    def _grant(self, entry: _Entry, trace: TraceContext = NO_REQUEST) -> None:
        entry.started_ms = entry.seen_ms = self._now
        entry.lease_ms = self._now + self._idle_ms
        self._activate(entry, trace)

    def _activate(self, entry: _Entry, trace: TraceContext = NO_REQUEST) -> None:
        entry.state = State.ACTIVE
        self._active[entry.id] = entry
        self._emit(events.started(entry.request, entry.started_ms, trace))

    def _promote(self) -> None:
        """Give free slots to the head of the queue; a user who plays as many as allowed is passed over."""
        for entry in self._waiting():
            if len(self._active) >= self.limits.platform:
                return
            own = self._entries_of_user(entry.request.user_id)
            if sum(each.state is State.ACTIVE for each in own) < self.limits.per_user:
                del self._queue[entry.id]
                self._grant(entry)

    def _end(self, entry: _Entry, reason: EndReason, at_ms: int, trace: TraceContext = NO_REQUEST) -> None:
        self._queue.pop(entry.id, None)
        self._ended[entry.id] = (reason, self._now + self._tombstone_ms)
        if self._active.pop(entry.id, None):
            self._emit(
                events.stopped(
                    entry.request,
                    at_ms,
                    started_ms=entry.started_ms,
                    bytes_sent=entry.bytes_sent,
                    reason=reason,
                    trace=trace,
                )
            )

    def _emit(self, event: Event) -> None:
        self._last_receipt += 1
        self._outbox[self._last_receipt] = event

    # Look-ups

    def _entry(self, session_id: str) -> _Entry | None:
        return self._active.get(session_id) or self._queue.get(session_id)

    def _entries_of_user(self, user_id: str) -> list[_Entry]:
        return [each for each in (*self._active.values(), *self._queue.values()) if each.request.user_id == user_id]

    def _waiting(self) -> list[_Entry]:
        return sorted(self._queue.values(), key=lambda each: (each.order, each.id))

    def _find(self, session_id: str) -> SessionStatus:
        if entry := self._entry(session_id):
            return self._status_of(entry)
        return Ended(self._ended[session_id][0] if session_id in self._ended else EndReason.UNKNOWN)

    def _status_of(self, entry: _Entry) -> Active | Queued:
        if entry.state is State.ACTIVE:
            return Active(_session(entry))
        return Queued(_session(entry), self._waiting().index(entry) + 1, self.limits.tick_sec)


def _same_client(own: Sequence[_Entry], request: SessionRequest) -> _Entry | None:
    """Return the session of a user that another request of an implicit one belongs to."""
    if request.kind is Kind.EXPLICIT:
        return None
    client = request.video_id, request.device_key
    for entry in own:
        existing = entry.request
        if existing.kind is Kind.IMPLICIT and (existing.video_id, existing.device_key) == client:
            return entry
    return None


def _finished_session(own: Sequence[_Entry], request: SessionRequest) -> _Entry | None:
    """Return the session of a user that gives way to an implicit one: finished, and of the same device."""
    if request.kind is Kind.EXPLICIT:
        return None
    finished = [each for each in own if each.is_finished and each.request.device_key == request.device_key]
    return min(finished, key=lambda each: (each.seen_ms, each.id), default=None)


def _limit_reached(scope: Scope, limit: int, own: Sequence[_Entry]) -> LimitReached:
    return LimitReached(scope, limit, tuple(sorted(map(_session, own), key=_age)))


def _age(session: Session) -> tuple[datetime, str]:
    return session.started_at, session.id


def _session(entry: _Entry) -> Session:
    return Session(
        request=entry.request,
        state=entry.state,
        replica=REPLICA,
        started_at=from_ms(entry.started_ms),
        seen_at=from_ms(entry.seen_ms),
        bytes_sent=entry.bytes_sent,
    )
