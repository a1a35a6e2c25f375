"""Performs random operations on a store and on its model, and compares every answer."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kit.events.envelope import Event
from marquee.events.v1 import stream_pb2
from services.stream.slots import (
    Active,
    Ended,
    EndReason,
    Kind,
    LimitReached,
    Queued,
    Renewal,
    Session,
    SessionStatus,
    StartResult,
    State,
)
from services.stream.slots.models import from_ms, to_ms
from services.stream.tests.unit.slots.model import Model, Summary
from services.stream.tests.unit.slots.support import LIMITS, World, a_request

USERS = ("ann", "bob", "cid", "dee", "eve", "fay")
CLIENTS = ("curl", "VLC")


class SlotsMachine(RuleBasedStateMachine):
    """Performs operations on a world and on the model. A subclass makes the world."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.known: dict[str, Session] = {}
        """All sessions that ever were, as the store last answered."""
        self.sent: Counter[tuple[str, int]] = Counter()
        """Bytes by session and replica."""
        self.events: Counter[Summary] = Counter()

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
        self.model = Model(self.now, refuses_after_loss=self.world.refuses_after_loss, settle_ms=settle_ms)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.runner.run(self.end_world())
        self.runner.close()

    @property
    def now(self) -> int:
        return round(self.world.now * 1000)

    def act(self, operation: Callable[[], Any]) -> Any:
        """Perform an operation of the store, at a time that the model is brought to first."""
        self.model.come_to(self.now)
        return self.runner.run(operation())

    def some(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.known)) if self.known else st.just("unknown"))

    def summary(self, result: StartResult | SessionStatus) -> Summary:
        """Return the summary of an answer; remember the session."""
        match result:
            case Active(session):
                self.known[session.id] = session
                return described(session, 0)
            case Queued(session, position, retry_after_sec):
                assert retry_after_sec == LIMITS.tick_sec
                self.known[session.id] = session
                return described(session, position)
            case LimitReached(scope, _, sessions):
                return "refused", scope.value, {session.id for session in sessions}
            case Ended(reason):
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
        request = a_request(user, kind=kind, device_key=device_key)
        if again and self.known:
            request = self.known[self.some(data)].request
        old = self.some(data) if takes_over else None
        result = self.act(lambda: self.store(replica).start(request, instead_of=old))
        assert self.summary(result) == self.model.start(request, old)

    @rule(data=st.data(), replica=st.integers(0, 3))
    def renew(self, data: st.DataObject, replica: int) -> None:
        chosen = data.draw(st.lists(st.sampled_from(sorted(self.known)), unique=True)) if self.known else []
        renewals = []
        for session_id in chosen:
            self.sent[session_id, replica] += data.draw(st.sampled_from([0, 1, 10**6]))
            silence = data.draw(st.sampled_from([0.0, 0.0, 0.001, 5.0, LIMITS.idle_sec - 0.001, LIMITS.idle_sec]))
            renewals.append(Renewal(self.known[session_id], self.sent[session_id, replica], silence))
        statuses = self.act(lambda: self.store(replica).renew(renewals))
        expected = self.model.renew(renewals, replica % len(self.world.stores))
        assert {each: self.summary(status) for each, status in statuses.items()} == expected

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
        """All sessions, or none, are renewed for about the idle time."""
        for _ in range(ticks):
            self.runner.run(self.world.jump(LIMITS.tick_sec))
            renewals = [Renewal(self.known[each.id]) for each in self.model.entries] if keep else []
            statuses = self.act(lambda: self.world.store.renew(renewals))  # noqa: B023 - done at once
            expected = self.model.renew(renewals, 0)
            assert {each: self.summary(status) for each, status in statuses.items()} == expected

    @rule(sec=st.sampled_from([-100.0, -0.001, LIMITS.gap_sec + 0.001, LIMITS.idle_sec, 10_000.0]))
    def leap(self, sec: float) -> None:
        self.runner.run(self.world.jump(sec))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.world.restart())
        self.model.starts += 1

    @precondition(lambda self: len(self.known) > LIMITS.platform)
    @rule()
    def forget(self) -> None:
        self.runner.run(self.world.forget())
        self.model.forget(self.now)
        self.events.clear()

    @rule()
    def relay(self) -> None:
        self.events += self.drained()

    def drained(self) -> Counter[Summary]:
        """Return the events of the store; the model must have them, too."""

        async def drain() -> list[Event]:
            events = []
            while batch := await self.world.store.pending(3):
                await self.world.store.acknowledge([each.receipt for each in batch])
                events += [each.event for each in batch]
            return events

        return Counter(map(summary_of, self.act(drain)))

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
    def every_event_is_published_once(self) -> None:
        if hasattr(self, "world"):
            self.relay()
            assert self.events == self.model.events

    def store(self, replica: int) -> Any:
        return self.world.stores[replica % len(self.world.stores)]


def described(session: Session, position: int) -> Summary:
    """Return a session as the model describes it."""
    assert (session.state is State.QUEUED) == bool(position)
    started, seen = to_ms(session.started_at), to_ms(session.seen_at)
    assert (from_ms(started), from_ms(seen)) == (session.started_at, session.seen_at)
    return session.id, session.request.user_id, position, started, seen, session.bytes_sent


def summary_of(event: Event) -> Summary:
    """Return an event as the model has it."""
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
