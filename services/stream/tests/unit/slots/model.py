"""What the slots are, said as plainly as possible: lists that are searched from end to end, and no thought of speed.

`SlotsMachine` does whatever comes to mind to a store and to this model, and compares every answer.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kit.events import Event
from kit.ids import derived_id
from marquee.events.v1 import stream_pb2
from services.stream.slots import (
    Active,
    EndReason,
    Gone,
    Kind,
    Limits,
    Outcome,
    Queued,
    Refused,
    Renewal,
    Session,
    Standing,
    State,
    Viewing,
)
from services.stream.slots.session import from_ms, to_ms
from services.stream.tests.unit.slots.support import LIMITS, World, a_viewing

T = TypeVar("T")
Summary = tuple[Any, ...]
"""What can be compared of an answer."""
IDLE_MS = round(LIMITS.idle_sec * 1000)
GAP_MS = round(LIMITS.gap_sec * 1000)
TOMBSTONE_MS = round(LIMITS.tombstone_sec * 1000)
USERS = ("ann", "bob", "cid", "dee", "eve", "fay")
CLIENTS = ("curl", "VLC")


@dataclass(eq=False)
class Entry:
    """A session of the model."""

    viewing: Viewing
    started: int
    seen: int
    lease: int
    place: int
    """In the queue; 0 of one that plays."""
    bytes: Counter[int] = field(default_factory=Counter)
    """By replica."""
    errors: set[str] = field(default_factory=set)

    @property
    def id(self) -> str:
        return self.viewing.session_id

    @property
    def user(self) -> str:
        return self.viewing.user_id


class Model:
    """The rules."""

    def __init__(self, limits: Limits, *, refuses_after_gap: bool, settle_ms: int) -> None:
        self.limits = limits
        self.refuses_after_gap = refuses_after_gap
        self.settle_ms = settle_ms
        self.now = 0
        self.last = 0
        self.forget(0)

    def forget(self, now: int, *, cold: bool = False) -> None:
        """All that is known is lost."""
        self.now = self.last = now
        self.closed_until = 0
        self.there: list[Entry] = []
        self.ended: dict[str, tuple[str, int]] = {}
        self.settling: list[tuple[int, int, str, Entry]] = []
        self.told: Counter[Summary] = Counter()
        self.is_cold = cold

    # What is there

    def playing(self, user: str | None = None) -> list[Entry]:
        return [each for each in self.there if not each.place and user in (None, each.user)]

    def waiting(self) -> list[Entry]:
        return sorted((each for each in self.there if each.place), key=lambda each: (each.place, each.id))

    def own(self, user: str) -> list[Entry]:
        return [each for each in self.there if each.user == user]

    def find(self, session_id: str) -> Entry | None:
        return next((each for each in self.there if each.id == session_id), None)

    def describe(self, entry: Entry) -> Summary:
        position = self.waiting().index(entry) + 1 if entry.place else 0
        return entry.id, entry.user, position, entry.started, entry.seen, entry.bytes.total()

    def standing(self, session_id: str) -> Summary:
        if entry := self.find(session_id):
            return self.describe(entry)
        return "gone", self.ended.get(session_id, ("unknown", 0))[0]

    # What happens by itself

    def come_to(self, now: int) -> None:
        self.last, self.now = self.now, now
        if self.is_cold or not 0 <= now - self.last <= GAP_MS:
            self.is_cold = False
            self.closed_until = now + IDLE_MS if self.refuses_after_gap else 0
            self.ended = {each: (reason, now + TOMBSTONE_MS) for each, (reason, _) in self.ended.items()}
            self.settling = [(now + self.settle_ms, *rest) for _, *rest in self.settling]  # type: ignore[misc]
            for entry in self.there:
                entry.lease, entry.seen = now + IDLE_MS, min(entry.seen, now)
        for entry in [each for each in self.there if each.lease <= now]:
            self.finish(entry, "expired", entry.seen)
        for one in [each for each in self.settling if each[0] <= now]:
            self.settling.remove(one)
            self.tell_stopped(*one[1:])
        self.ended = {each: (reason, until) for each, (reason, until) in self.ended.items() if until > now}
        self.promote()

    def promote(self) -> None:
        while self.closed_until <= self.now and len(self.playing()) < self.limits.platform:
            eligible = [each for each in self.waiting() if len(self.playing(each.user)) < self.limits.per_user]
            if not eligible:
                return
            self.grant(eligible[0])

    def grant(self, entry: Entry) -> None:
        entry.place = 0
        entry.started = entry.seen = self.now
        entry.lease = self.now + IDLE_MS
        self.tell_started(entry)

    def finish(self, entry: Entry, reason: str, at: int) -> None:
        self.there.remove(entry)
        self.ended[entry.id] = (reason, self.now + TOMBSTONE_MS)
        if entry.place:
            return
        if reason == "expired" or not self.settle_ms:
            self.tell_stopped(at, reason, entry)
        else:
            self.settling.append((self.now + self.settle_ms, at, reason, entry))

    def tell_started(self, entry: Entry) -> None:
        self.told[derived_id(entry.id, "stream.started"), entry.started, 0, 0, ""] += 1

    def tell_stopped(self, at: int, reason: str, entry: Entry) -> None:
        lasted = max(at - entry.started, 0)
        self.told[derived_id(entry.id, "stream.stopped"), at, lasted, entry.bytes.total(), reason] += 1

    # What is asked for

    def start(self, viewing: Viewing, instead_of: str | None) -> Summary:
        client = viewing.user_id, viewing.video_id, viewing.device_key
        for entry in self.there:
            asked = entry.viewing
            same_client = (asked.user_id, asked.video_id, asked.device_key) == client
            if entry.id == viewing.session_id or (asked.kind is viewing.kind is Kind.IMPLICIT and same_client):
                self.touch(entry, self.now)
                return self.describe(entry)
        if viewing.session_id in self.ended or self.closed_until > self.now:
            return ("unavailable",)
        old = self.find(instead_of or "")
        if old and old.user != viewing.user_id:
            old = None
        others = [each for each in self.there if each is not old]
        own = {each.id for each in self.own(viewing.user_id)}
        if sum(each.user == viewing.user_id for each in others) >= self.limits.per_user:
            return "refused", "user", own
        plays = len(self.playing()) < self.limits.platform or (old is not None and not old.place)
        has_place = sum(bool(each.place) for each in others) < self.limits.queue
        if not plays and (viewing.kind is Kind.IMPLICIT or not has_place):
            return "refused", "server", own
        place = max([self.now * 1000, *(each.place + 1 for each in self.there)])
        entry = Entry(viewing, self.now, self.now, self.now + IDLE_MS, (old and old.place) or place)
        if old:
            self.finish(old, "replaced", self.now)
        self.there.append(entry)
        if plays:
            self.grant(entry)
        return self.describe(entry)

    def renew(self, renewals: Iterable[Renewal], replica: int) -> dict[str, Summary]:
        renewals = list(renewals)
        for renewal in renewals:
            session_id, seen = renewal.session.id, self.now - round(renewal.idle_sec * 1000)
            entry = self.find(session_id) or self.take_back(renewal.session, seen)
            if entry:
                self.touch(entry, seen)
            settling = [each for *_, each in self.settling if each.id == session_id]
            for each in [entry] if entry else settling:
                each.bytes[replica] = max(each.bytes[replica], renewal.bytes_sent)
        self.promote()
        return {renewal.session.id: self.standing(renewal.session.id) for renewal in renewals}

    def take_back(self, session: Session, seen: int) -> Entry | None:
        user, started = session.viewing.user_id, to_ms(session.started_at)
        if session.id in self.ended or seen + IDLE_MS <= self.now:
            return None
        if session.state is State.QUEUED:
            if len(self.waiting()) >= self.limits.queue or len(self.own(user)) >= self.limits.per_user:
                return None
        elif len(self.playing()) >= self.limits.platform or len(self.playing(user)) >= self.limits.per_user:
            return None
        place = started * 1000 if session.state is State.QUEUED else 0
        self.there.append(entry := Entry(session.viewing, started, seen, seen + IDLE_MS, place))
        if not place:
            self.tell_started(entry)
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
            self.told[derived_id(session_id, "stream.error", code), self.now, 0, 0, ""] += 1


class SlotsMachine(RuleBasedStateMachine):
    """Does things to a world and to the model. A subclass makes the world."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.known: dict[str, Session] = {}
        """All sessions that ever were, as they were told last."""
        self.sent: Counter[tuple[str, int]] = Counter()
        """Bytes by session and replica."""
        self.told: Counter[Summary] = Counter()

    @abstractmethod
    async def new_world(self) -> World:
        """An empty one."""

    @abstractmethod
    async def end_world(self) -> None:
        """Cleans up; everything must have come to its end."""

    @initialize()
    def begin(self) -> None:
        self.world = self.runner.run(self.new_world())
        settle_ms = round(self.world.settle_sec * 1000)
        self.model = Model(LIMITS, refuses_after_gap=self.world.refuses_after_gap, settle_ms=settle_ms)
        self.model.forget(self.now, cold=self.world.refuses_after_gap)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.runner.run(self.end_world())
        self.runner.close()

    @property
    def now(self) -> int:
        return round(self.world.now * 1000)

    def act(self, operation: Callable[[], Any]) -> Any:
        """Has the store do something, at a time that the model comes to first."""
        self.model.come_to(self.now)
        return self.runner.run(operation())

    def some(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.known)) if self.known else st.just("nobody's"))

    def summary(self, outcome: Outcome | Standing) -> Summary:
        """Of what a store answered; remembers the session."""
        match outcome:
            case Active(session):
                self.known[session.id] = session
                return described(session, 0)
            case Queued(session, position, retry_after_sec):
                assert retry_after_sec == LIMITS.tick_sec
                self.known[session.id] = session
                return described(session, position)
            case Refused(scope, _, sessions):
                return "refused", scope.value, {session.id for session in sessions}
            case Gone(reason):
                return "gone", reason.value
            case _:
                return ("unavailable",)

    @rule(
        data=st.data(),
        user=st.sampled_from(USERS),
        kind=st.sampled_from([Kind.EXPLICIT, Kind.EXPLICIT, Kind.IMPLICIT]),
        device_key=st.sampled_from(CLIENTS),
        takes_over=st.booleans(),
        again=st.sampled_from([False, False, False, True]),
        replica=st.integers(0, 3),
    )
    def start(
        self, data: st.DataObject, user: str, kind: Kind, device_key: str, takes_over: bool, again: bool, replica: int
    ) -> None:
        viewing = a_viewing(user, kind=kind, device_key=device_key)
        if again and self.known:
            viewing = self.known[self.some(data)].viewing
        old = self.some(data) if takes_over else None
        outcome = self.act(lambda: self.store(replica).start(viewing, instead_of=old))
        assert self.summary(outcome) == self.model.start(viewing, old)

    @rule(data=st.data(), replica=st.integers(0, 3))
    def renew(self, data: st.DataObject, replica: int) -> None:
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.known)), unique=True)) if self.known else []
        renewals = []
        for session_id in chosen:
            self.sent[session_id, replica] += data.draw(st.sampled_from([0, 1, 10**6]))
            silence = data.draw(st.sampled_from([0.0, 0.0, 0.001, 5.0, LIMITS.idle_sec - 0.001, LIMITS.idle_sec]))
            renewals.append(Renewal(self.known[session_id], self.sent[session_id, replica], silence))
        standings = self.act(lambda: self.store(replica).renew(renewals))
        expected = self.model.renew(renewals, replica % len(self.world.stores))
        assert {each: self.summary(standing) for each, standing in standings.items()} == expected

    @rule(
        data=st.data(),
        reason=st.sampled_from([EndReason.ENDED, EndReason.STOPPED, EndReason.ADMIN]),
        user=st.sampled_from([None, *USERS]),
        bytes_sent=st.sampled_from([None, 0, 10**7]),
        replica=st.integers(0, 3),
    )
    def stop(
        self, data: st.DataObject, reason: EndReason, user: str | None, bytes_sent: int | None, replica: int
    ) -> None:
        session_id = self.some(data)
        stopped = self.act(lambda: self.store(replica).stop(session_id, reason, user_id=user, bytes_sent=bytes_sent))
        index = replica % len(self.world.stores)
        assert (stopped is not None) == self.model.stop(session_id, reason.value, user, bytes_sent, index)

    @rule(data=st.data(), code=st.sampled_from("AB"), replica=st.integers(0, 3))
    def fail(self, data: st.DataObject, code: str, replica: int) -> None:
        session_id = self.some(data)
        self.act(lambda: self.store(replica).fail(session_id, code, "말"))
        self.model.fail(session_id, code)

    @rule(sec=st.sampled_from([0.001, 1, LIMITS.tick_sec - 0.001, LIMITS.tick_sec, LIMITS.gap_sec]))
    def wait(self, sec: float) -> None:
        self.runner.run(self.world.jump(sec))

    @rule(ticks=st.integers(4, 8), keep=st.booleans())
    def watch(self, ticks: int, keep: bool) -> None:
        """Everybody, or nobody, goes on for about the idle time."""
        for _ in range(ticks):
            self.runner.run(self.world.jump(LIMITS.tick_sec))
            renewals = [Renewal(self.known[each.id]) for each in self.model.there] if keep else []
            standings = self.act(lambda: self.world.store.renew(renewals))  # noqa: B023 - done at once
            expected = self.model.renew(renewals, 0)
            assert {each: self.summary(standing) for each, standing in standings.items()} == expected

    @rule(sec=st.sampled_from([-100.0, -0.001, LIMITS.gap_sec + 0.001, LIMITS.idle_sec, 10_000.0]))
    def leap(self, sec: float) -> None:
        self.runner.run(self.world.jump(sec))

    @precondition(lambda self: len(self.known) > LIMITS.platform)
    @rule()
    def forget(self) -> None:
        self.runner.run(self.world.forget())
        self.model.forget(self.now, cold=self.world.refuses_after_gap)
        self.told.clear()

    @rule()
    def relay(self) -> None:
        self.told += self.drained()

    def drained(self) -> Counter[Summary]:
        """What the store has told; the model must have, too."""

        async def drain() -> list[Event]:
            events = []
            while batch := await self.world.store.pending(3):
                await self.world.store.acknowledge([each.receipt for each in batch])
                events += [each.event for each in batch]
            return events

        return Counter(map(told, self.act(drain)))

    @invariant()
    def everybody_is_where_they_should_be(self) -> None:
        if not hasattr(self, "world"):
            return
        sessions = self.act(lambda: self.store(len(self.known)).all())
        playing = sorted(self.model.playing(), key=lambda each: (each.started, each.id))
        expected = [self.model.describe(each) for each in (*playing, *self.model.waiting())]
        positions = [0] * len(playing) + list(range(1, len(sessions) + 1))
        assert [described(each, position) for each, position in zip(sessions, positions, strict=False)] == expected
        assert len(playing) <= LIMITS.platform
        assert len(sessions) - len(playing) <= LIMITS.queue
        assert all(each <= LIMITS.per_user for each in Counter(each.user for each in playing).values())

    @invariant()
    def everything_is_told_once(self) -> None:
        if hasattr(self, "world"):
            self.relay()
            assert self.told == self.model.told

    def store(self, replica: int) -> Any:
        return self.world.stores[replica % len(self.world.stores)]


def described(session: Session, position: int) -> Summary:
    """As the model describes it."""
    assert (session.state is State.QUEUED) == bool(position)
    started, seen = to_ms(session.started_at), to_ms(session.seen_at)
    assert (from_ms(started), from_ms(seen)) == (session.started_at, session.seen_at)
    return session.id, session.viewing.user_id, position, started, seen, session.bytes_sent


def told(event: Event) -> Summary:
    """As the model tells it."""
    at = to_ms(event.time)
    if event.type != "stream.stopped":
        return event.id, at, 0, 0, ""
    body = event.read(stream_pb2.StreamStopped)
    return event.id, at, round(body.duration_seconds * 1000), body.bytes_transferred, body.reason


def check(machine: type[SlotsMachine], *, examples: int, steps: int) -> None:
    """Runs a machine so many times for at most so many steps."""
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case("runTest").debug()
