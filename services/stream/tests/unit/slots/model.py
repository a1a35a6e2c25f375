"""The rules of the slots as plain as possible: lists that are searched from end to end, slow and obvious."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kit.ids import derived_id
from services.stream.slots import Kind, Renewal, Session, SessionRequest, State
from services.stream.slots.models import to_ms
from services.stream.tests.unit.slots.support import LIMITS

Summary = tuple[Any, ...]
"""What can be compared of an answer."""
IDLE_MS = round(LIMITS.idle_sec * 1000)
GAP_MS = round(LIMITS.gap_sec * 1000)
TOMBSTONE_MS = round(LIMITS.tombstone_sec * 1000)


@dataclass(eq=False)
class Entry:
    """A session of the model."""

    request: SessionRequest
    started: int
    seen: int
    lease: int
    rank: int
    """In the queue; 0 of one that plays."""
    bytes: Counter[int] = field(default_factory=Counter)
    """By replica."""
    errors: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        return self.request.session_id

    @property
    def user(self) -> str:
        return self.request.user_id


class Model:
    """The rules."""

    def __init__(self, now: int, *, refuses_after_loss: bool, settle_ms: int) -> None:
        self.refuses_after_loss = refuses_after_loss
        self.settle_ms = settle_ms
        self.starts = 0
        """How often the store was started anew."""
        self.forget(now)

    def forget(self, now: int) -> None:
        """Begin with no sessions, or lose all of them."""
        self.now = now
        self.closed_until = 0
        self.entries: list[Entry] = []
        self.ended: dict[str, tuple[str, int]] = {}
        self.settling: list[tuple[int, int, str, Entry]] = []
        self.events: Counter[Summary] = Counter()
        self.is_cold = self.refuses_after_loss
        self.starts_known = self.starts
        """As of the last time that the store looked, once in a window as long as a gap."""

    # What is there

    def playing(self, user: str | None = None) -> list[Entry]:
        return [each for each in self.entries if not each.rank and user in (None, each.user)]

    def waiting(self) -> list[Entry]:
        return sorted((each for each in self.entries if each.rank), key=lambda each: (each.rank, each.id))

    def entries_of_user(self, user: str) -> list[Entry]:
        return [each for each in self.entries if each.user == user]

    def find(self, session_id: str) -> Entry | None:
        return next((each for each in self.entries if each.id == session_id), None)

    def describe(self, entry: Entry) -> Summary:
        position = self.waiting().index(entry) + 1 if entry.rank else 0
        return entry.id, entry.user, position, entry.started, entry.seen, entry.bytes.total()

    def status(self, session_id: str) -> Summary:
        if entry := self.find(session_id):
            return self.describe(entry)
        return "gone", self.ended.get(session_id, ("unknown", 0))[0]

    # What happens by itself

    def come_to(self, now: int) -> None:
        before, self.now = self.now, now
        is_gap = self.is_cold or not 0 <= now - before <= GAP_MS
        may_have_lost = self.is_cold or self.starts != self.starts_known or self.closed_until > before
        if is_gap or now // GAP_MS != before // GAP_MS:
            self.starts_known = self.starts
        if is_gap:
            self.is_cold = False
            self.closed_until = now + IDLE_MS if self.refuses_after_loss and may_have_lost else 0
            self.ended = {each: (reason, now + TOMBSTONE_MS) for each, (reason, _) in self.ended.items()}
            self.settling = [(now + self.settle_ms, *rest) for _, *rest in self.settling]  # type: ignore[misc]
            for entry in self.entries:
                entry.lease, entry.seen = now + IDLE_MS, min(entry.seen, now)
        for entry in [each for each in self.entries if each.lease <= now]:
            self.finish(entry, "expired", entry.seen)
        for one in [each for each in self.settling if each[0] <= now]:
            self.settling.remove(one)
            self.emit_stopped(*one[1:])
        self.ended = {each: (reason, until) for each, (reason, until) in self.ended.items() if until > now}
        self.promote()

    def promote(self) -> None:
        while self.closed_until <= self.now and len(self.playing()) < LIMITS.platform:
            eligible = [each for each in self.waiting() if len(self.playing(each.user)) < LIMITS.per_user]
            if not eligible:
                return
            self.grant(eligible[0])

    def grant(self, entry: Entry) -> None:
        entry.rank = 0
        entry.started = entry.seen = self.now
        entry.lease = self.now + IDLE_MS
        self.emit_started(entry)

    def finish(self, entry: Entry, reason: str, at: int) -> None:
        self.entries.remove(entry)
        self.ended[entry.id] = (reason, self.now + TOMBSTONE_MS)
        if entry.rank:
            return
        if reason == "expired" or not self.settle_ms:
            self.emit_stopped(at, reason, entry)
        else:
            self.settling.append((self.now + self.settle_ms, at, reason, entry))

    def emit_started(self, entry: Entry) -> None:
        self.events[derived_id(entry.id, "stream.started"), entry.started, 0, 0, ""] += 1

    def emit_stopped(self, at: int, reason: str, entry: Entry) -> None:
        lasted = max(at - entry.started, 0)
        self.events[derived_id(entry.id, "stream.stopped"), at, lasted, entry.bytes.total(), reason] += 1

    # What is asked for

    def start(self, request: SessionRequest, instead_of: str | None) -> Summary:
        client = request.user_id, request.video_id, request.device_key
        for entry in self.entries:
            known_request = entry.request
            same_client = (known_request.user_id, known_request.video_id, known_request.device_key) == client
            if entry.id == request.session_id or (known_request.kind is request.kind is Kind.IMPLICIT and same_client):
                self.touch(entry, self.now)
                return self.describe(entry)
        if request.session_id in self.ended or self.closed_until > self.now:
            return ("unavailable",)
        old = self.find(instead_of or "")
        if old and old.user != request.user_id:
            old = None
        others = [each for each in self.entries if each is not old]
        own = {each.id for each in self.entries_of_user(request.user_id)}
        if sum(each.user == request.user_id for each in others) >= LIMITS.per_user:
            return "refused", "user", own
        plays = len(self.playing()) < LIMITS.platform or (old is not None and not old.rank)
        has_place = sum(bool(each.rank) for each in others) < LIMITS.queue
        if not plays and (request.kind is Kind.IMPLICIT or not has_place):
            return "refused", "server", own
        rank = max([self.now * 1000, *(each.rank + 1 for each in self.entries)])
        entry = Entry(request, self.now, self.now, self.now + IDLE_MS, (old and old.rank) or rank)
        if old:
            self.finish(old, "replaced", self.now)
        self.entries.append(entry)
        if plays:
            self.grant(entry)
        return self.describe(entry)

    def renew(self, renewals: Iterable[Renewal], replica: int) -> dict[str, Summary]:
        renewals = list(renewals)
        for renewal in renewals:
            session_id, seen = renewal.session.id, self.now - round(renewal.idle_sec * 1000)
            entry = self.find(session_id) or self.restore(renewal.session, seen)
            if entry:
                self.touch(entry, seen)
            settling = [each for *_, each in self.settling if each.id == session_id]
            for each in [entry] if entry else settling:
                each.bytes[replica] = max(each.bytes[replica], renewal.bytes_sent)
        self.promote()
        return {renewal.session.id: self.status(renewal.session.id) for renewal in renewals}

    def restore(self, session: Session, seen: int) -> Entry | None:
        user, started = session.request.user_id, to_ms(session.started_at)
        if session.id in self.ended or seen + IDLE_MS <= self.now:
            return None
        if session.state is State.QUEUED:
            if len(self.waiting()) >= LIMITS.queue or len(self.entries_of_user(user)) >= LIMITS.per_user:
                return None
        elif len(self.playing()) >= LIMITS.platform or len(self.playing(user)) >= LIMITS.per_user:
            return None
        rank = started * 1000 if session.state is State.QUEUED else 0
        self.entries.append(entry := Entry(session.request, started, seen, seen + IDLE_MS, rank))
        if not rank:
            self.emit_started(entry)
        return entry

    @staticmethod
    def touch(entry: Entry, seen: int) -> None:
        entry.seen = max(entry.seen, seen)
        entry.lease = max(entry.lease, seen + IDLE_MS)

    def stop(self, session_id: str, reason: str, user: str | None, bytes_sent: int | None, replica: int) -> bool:
        entry = self.find(session_id)
        if entry is None or user not in (None, entry.user):
            return False
        entry.bytes[replica] = max(entry.bytes[replica], bytes_sent or 0)
        self.finish(entry, reason, self.now)
        self.promote()
        return True

    def fail(self, session_id: str, code: str) -> None:
        entry = self.find(session_id)
        if entry and code not in entry.errors:
            entry.errors.add(code)
            self.events[derived_id(session_id, "stream.error", code), self.now, 0, 0, ""] += 1
