"""What every store of slots must do. An adapter's tests inherit `SlotsContract` and make its world."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from structlog.contextvars import bound_contextvars

from kit.audit import ADMIN_ACTED, Admin
from kit.ids import derived_id, new_id
from marquee.events.v1 import admin_pb2, stream_pb2
from services.stream.slots import (
    Active,
    Ended,
    EndReason,
    Kind,
    LimitReached,
    Queued,
    Renewal,
    Scope,
    SessionRequest,
    State,
    Unavailable,
)
from services.stream.tests.unit.slots.support import LIMITS, World, a_request

IDLE = LIMITS.idle_sec
TICK = LIMITS.tick_sec


class SlotsContract:
    """Tests of a store. A subclass provides the fixture `world`, with `LIMITS`."""

    @pytest.fixture
    async def world(self) -> World:
        raise NotImplementedError

    # Who gets a slot

    async def test_session_has_the_request_it_was_started_with(self, world: World) -> None:
        request = a_request("ann", device_name='"거실"\\ \n TV 📺', source="ssd")
        session = await world.granted(request)
        assert session.request == request
        assert (session.state, session.bytes_sent, session.started_at) == (State.ACTIVE, 0, session.seen_at)
        for store in world.stores:
            assert await store.get(session.id) == Active(session)
            assert await store.of_user("ann") == await store.all() == [session]
            assert await store.of_user("bob") == []
            assert await store.get(new_id()) == Ended(EndReason.UNKNOWN)

    async def test_the_users_limit_answers_at_once_and_names_their_sessions(self, world: World) -> None:
        own = [await world.granted(a_request("ann", device_name=name)) for name in ("TV", "phone")]
        assert await world.store.start(a_request("ann")) == LimitReached(Scope.USER, 2, tuple(own))
        await world.granted(a_request("bob"))

    async def test_the_users_limit_counts_those_that_wait(self, world: World) -> None:
        await world.fill()
        own = [await world.queued(a_request("ann")) for _ in range(2)]
        assert await world.store.start(a_request("ann")) == LimitReached(Scope.USER, 2, tuple(own))

    async def test_the_platforms_limit_queues_until_the_queue_is_full(self, world: World) -> None:
        await world.fill()
        for position in range(1, LIMITS.queue + 1):
            result = await world.store.start(request := a_request())
            assert isinstance(result, Queued)
            assert (result.position, result.retry_after_sec) == (position, TICK)
            assert (result.session.request, result.session.state) == (request, State.QUEUED)
            assert await world.stores[-1].get(result.session.id) == result
        assert await world.store.start(a_request()) == LimitReached(Scope.SERVER, LIMITS.platform, ())

    async def test_a_refusal_by_the_platform_names_the_viewers_own(self, world: World) -> None:
        own = await world.granted(a_request("ann"))
        await world.fill()
        for _ in range(LIMITS.queue):
            await world.queued(a_request())
        assert await world.store.start(a_request("ann")) == LimitReached(Scope.SERVER, LIMITS.platform, (own,))

    async def test_starting_twice_is_starting_once(self, world: World) -> None:
        request = a_request()
        session = await world.granted(request)
        assert [await store.start(request) for store in world.stores] == [Active(session)] * len(world.stores)
        await world.fill()
        result = await world.store.start(waiting := a_request())
        assert await world.stores[-1].start(waiting) == result
        assert len(await world.store.all()) == LIMITS.platform + 1

    async def test_a_freed_slot_goes_to_the_head_and_no_newcomer_passes(self, world: World) -> None:
        playing = await world.fill()
        waiting = [await world.queued(a_request()) for _ in range(2)]
        await world.store.stop(playing[0].id, EndReason.ENDED)
        assert await world.store.start(a_request(kind=Kind.IMPLICIT)) == LimitReached(Scope.SERVER, LIMITS.platform, ())
        late = await world.queued(a_request())
        assert isinstance(await world.store.get(waiting[0].id), Active)
        assert [each.id for each in await world.store.all()][-2:] == [waiting[1].id, late.id]
        statuses = await world.store.renew([Renewal(each) for each in (*waiting, late)])
        assert isinstance(statuses[waiting[0].id], Active)
        assert [(each.id, getattr(statuses[each.id], "position", 0)) for each in (waiting[1], late)] == [
            (waiting[1].id, 1),
            (late.id, 2),
        ]

    async def test_queue_passes_over_sessions_that_ended(self, world: World) -> None:
        playing = await world.fill()
        leaves, silent, stays = [await world.queued(a_request()) for _ in range(3)]
        await world.store.stop(leaves.id, EndReason.ENDED)
        await world.play(*playing, stays, sec=IDLE)
        assert await world.store.get(silent.id) == Ended(EndReason.EXPIRED)
        await world.store.stop(playing[0].id, EndReason.ENDED)
        assert isinstance(await world.store.get(stays.id), Active)

    async def test_a_slot_got_from_the_queue_begins_then(self, world: World) -> None:
        playing = await world.fill()
        waiting = await world.queued(a_request())
        await world.play(*playing, waiting, sec=25)
        await world.store.stop(playing[0].id, EndReason.ENDED)
        await world.jump(1)
        await world.play(*playing[1:], sec=IDLE - 1 - 0.001)
        status = await world.store.get(waiting.id)
        assert isinstance(status, Active)
        assert status.session.started_at == waiting.started_at + timedelta(seconds=25)
        await world.jump(0.001)
        assert await world.store.get(waiting.id) == Ended(EndReason.EXPIRED)

    async def test_promotion_passes_over_users_at_their_limit(self, world: World) -> None:
        # Only data that was lost and restored, in an unlucky order, makes such a user.
        filled = await world.fill()
        greedy = await world.queued(a_request("ann"))
        patient = await world.queued(a_request("bob"))
        others = [replace(filled[0], request=a_request("ann")) for _ in range(2)]
        await world.forget()
        renewed = [greedy, patient, *others, *filled[:2]]
        await world.play(*renewed, sec=IDLE)
        await world.store.stop(filled[0].id, EndReason.ENDED)
        users = Counter(each.request.user_id for each in await world.store.all() if each.state is State.ACTIVE)
        assert (users["ann"], users["bob"]) == (2, 1)

    # Implicit sessions

    async def test_an_implicit_session_is_one_for_all_requests_of_a_client(self, world: World) -> None:
        def asked(**changed: str) -> SessionRequest:
            return a_request("ann", kind=Kind.IMPLICIT, device_key="192.0.2.1 VLC", **changed)

        session = await world.granted(asked())
        results = await asyncio.gather(*(store.start(asked()) for store in world.stores for _ in range(4)))
        assert results == [Active(session)] * 4 * len(world.stores)
        other = await world.granted(asked(video_id="another"))
        assert isinstance(await world.store.start(asked(video_id="third")), LimitReached)
        assert {each.id for each in await world.store.all()} == {session.id, other.id}
        await world.store.stop(session.id, EndReason.ENDED)
        assert (await world.granted(asked())).id != session.id

    async def test_a_request_of_an_implicit_session_is_a_sign_of_life(self, world: World) -> None:
        request = a_request("ann", kind=Kind.IMPLICIT, device_key="curl")
        session = await world.granted(request)
        for _ in range(3):
            await world.wait(IDLE - 1)
            assert (await world.granted(replace(request, session_id=new_id()))).id == session.id

    async def test_an_implicit_session_never_waits(self, world: World) -> None:
        await world.fill()
        assert await world.store.start(a_request(kind=Kind.IMPLICIT)) == LimitReached(Scope.SERVER, LIMITS.platform, ())

    async def test_explicit_sessions_of_one_device_are_several(self, world: World) -> None:
        for _ in range(LIMITS.per_user):
            await world.granted(a_request("ann", device_key="same"))
        assert isinstance(await world.store.start(a_request("ann", device_key="same")), LimitReached)

    # Taking over

    async def test_device_takes_over_a_slot_before_those_that_wait(self, world: World) -> None:
        old = await world.granted(a_request("ann"))
        await world.granted(a_request("ann"))
        await world.fill()
        waiting = await world.queued(a_request())
        result = await world.stores[-1].start(a_request("ann"), instead_of=old.id)
        assert isinstance(result, Active)
        assert await world.store.get(old.id) == Ended(EndReason.REPLACED)
        assert isinstance(await world.store.get(waiting.id), Queued)

    async def test_a_device_takes_over_the_place_in_the_queue(self, world: World) -> None:
        await world.fill()
        old, *others = [await world.queued(a_request(name)) for name in ("ann", "bob", "cid")]
        result = await world.store.start(a_request("ann"), instead_of=old.id)
        assert isinstance(result, Queued)
        assert result.position == 1
        assert await world.store.get(old.id) == Ended(EndReason.REPLACED)
        assert [each.id for each in await world.store.all()][-3:] == [result.session.id, *(each.id for each in others)]

    async def test_a_takeover_that_can_not_be_granted_ends_nothing(self, world: World) -> None:
        await world.fill()
        old = await world.queued(a_request("ann"))
        result = await world.store.start(a_request("ann", kind=Kind.IMPLICIT), instead_of=old.id)
        assert result == LimitReached(Scope.SERVER, LIMITS.platform, (old,))
        assert isinstance(await world.store.get(old.id), Queued)

    async def test_takes_over_neither_from_another_user_nor_from_an_ended_session(self, world: World) -> None:
        theirs = await world.granted(a_request("bob"))
        await world.granted(a_request("ann"))
        over = await world.granted(a_request("ann"))
        await world.store.stop(over.id, EndReason.ENDED)
        assert isinstance(await world.store.start(a_request("ann"), instead_of=over.id), Active)
        result = await world.store.start(a_request("ann"), instead_of=theirs.id)
        assert isinstance(result, LimitReached)
        assert result.scope is Scope.USER
        assert isinstance(await world.store.get(theirs.id), Active)

    # Life

    async def test_a_slot_is_free_one_idle_time_after_the_last_sign_of_life(self, world: World) -> None:
        session = await world.granted(a_request())
        await world.wait(10)
        answer = await world.store.renew([Renewal(session, idle_sec=4)])
        assert isinstance(answer[session.id], Active)
        await world.wait(IDLE - 4 - 0.001)
        status = await world.store.get(session.id)
        assert isinstance(status, Active)
        assert status.session.seen_at == session.started_at + timedelta(seconds=6)
        await world.jump(0.001)
        for store in world.stores:
            assert await store.get(session.id) == Ended(EndReason.EXPIRED)
        assert await world.store.all() == []

    async def test_a_paused_player_with_heartbeats_keeps_its_slot_for_an_hour(self, world: World) -> None:
        session = await world.granted(a_request())
        await world.play(session, sec=3600)
        assert isinstance(await world.store.get(session.id), Active)

    async def test_latest_sign_of_life_counts_in_any_order_of_renewals(self, world: World) -> None:
        session = await world.granted(a_request())
        await world.wait(20)
        await world.store.renew([Renewal(session)])
        await world.stores[-1].renew([Renewal(session, idle_sec=19)])
        await world.wait(IDLE - 0.001)
        assert isinstance(await world.store.get(session.id), Active)

    async def test_ended_session_stays_ended_with_its_reason(self, world: World) -> None:
        for reason in (EndReason.ENDED, EndReason.STOPPED, EndReason.ADMIN):
            session = await world.granted(a_request())
            stopped = await world.store.stop(session.id, reason)
            assert stopped == session
            for store in world.stores:
                assert await store.stop(session.id, EndReason.ENDED) is None
                assert await store.renew([Renewal(session, 10)]) == {session.id: Ended(reason)}
                assert isinstance(await store.start(session.request), Unavailable)
        silent = await world.granted(a_request())
        await world.wait(IDLE)
        assert await world.store.renew([Renewal(silent)]) == {silent.id: Ended(EndReason.EXPIRED)}
        await world.wait(LIMITS.tombstone_sec - IDLE - TICK)
        assert await world.store.renew([Renewal(silent)]) == {silent.id: Ended(EndReason.EXPIRED)}
        assert await world.store.all() == []

    async def test_stop_with_a_user_stops_only_that_users_session(self, world: World) -> None:
        session = await world.granted(a_request("ann"))
        assert await world.store.stop(session.id, EndReason.STOPPED, user_id="bob") is None
        assert await world.store.stop(session.id, EndReason.STOPPED, user_id="ann") == session

    # Gaps

    @pytest.mark.parametrize("gap_sec", [10 * IDLE, -10 * IDLE])
    async def test_gap_keeps_playing_sessions_and_grants_no_slot_twice(self, world: World, gap_sec: float) -> None:
        playing = await world.fill()
        waiting = await world.queued(a_request())
        await world.jump(gap_sec)
        assert not isinstance(await world.store.start(a_request()), Active)
        statuses = await world.store.renew([Renewal(each) for each in (*playing, waiting)])
        assert [type(each) for each in statuses.values()] == [Active] * len(playing) + [Queued]
        await world.play(*playing[1:], waiting, sec=IDLE)
        assert await world.store.get(playing[0].id) == Ended(EndReason.EXPIRED)
        assert isinstance(await world.store.get(waiting.id), Active)
        assert len(await world.store.all()) == LIMITS.platform

    async def test_a_gap_makes_no_ended_session_come_back(self, world: World) -> None:
        session = await world.granted(a_request())
        await world.store.stop(session.id, EndReason.STOPPED)
        await world.jump(2 * LIMITS.tombstone_sec)
        assert await world.store.renew([Renewal(session)]) == {session.id: Ended(EndReason.STOPPED)}

    async def test_gap_adds_nothing_to_the_reported_duration(self, world: World) -> None:
        session = await world.granted(a_request())
        await world.wait(10)
        await world.store.renew([Renewal(session)])
        await world.jump(-3600)
        await world.open()
        await world.wait(IDLE)
        _, stopped = await world.events()
        assert stopped.read(stream_pb2.StreamStopped).duration_seconds == 0

    async def test_lost_sessions_are_restored_as_they_were(self, world: World) -> None:
        playing = await world.fill()
        waiting = [await world.queued(a_request()) for _ in range(2)]
        await world.wait(10)
        await world.forget()
        for each in (*playing, *reversed(waiting)):
            await world.store.renew([Renewal(each, 7, idle_sec=1)])
        expected = [replace(each, bytes_sent=7, seen_at=each.started_at + timedelta(seconds=9)) for each in playing]
        now = await world.store.all()
        assert now[: len(playing)] == expected
        assert [each.id for each in now[len(playing) :]] == [each.id for each in waiting]
        assert not isinstance(await world.store.start(a_request()), Active)

    async def test_restores_no_more_than_the_limits_allow(self, world: World) -> None:
        a_session = await world.granted(a_request())
        await world.forget()
        greedy = [replace(a_session, request=a_request("ann")) for _ in range(LIMITS.per_user + 1)]
        others = [replace(a_session, request=a_request()) for _ in range(LIMITS.platform)]
        hoping = [replace(a_session, request=a_request("ann"), state=State.QUEUED)]
        queue = [replace(a_session, request=a_request(), state=State.QUEUED) for _ in range(LIMITS.queue + 1)]
        statuses = await world.store.renew([Renewal(each) for each in (*greedy, *others, *hoping, *queue)])
        kinds = [[type(statuses[each.id]) for each in some] for some in (greedy, others, hoping, queue)]
        assert kinds == [
            [Active] * LIMITS.per_user + [Ended],
            [Active] * (LIMITS.platform - LIMITS.per_user) + [Ended] * LIMITS.per_user,
            [Ended],
            [Queued] * LIMITS.queue + [Ended],
        ]

    async def test_lost_waiting_session_gets_a_free_slot_at_once(self, world: World) -> None:
        a_session = await world.granted(a_request())
        waiting = replace(a_session, request=a_request(), state=State.QUEUED)
        await world.forget()
        await world.open()
        statuses = await world.store.renew([Renewal(waiting)])
        assert isinstance(statuses[waiting.id], Active)

    async def test_lost_session_idle_for_too_long_is_not_restored(self, world: World) -> None:
        session = await world.granted(a_request())
        await world.forget()
        assert await world.store.renew([Renewal(session, idle_sec=IDLE)]) == {session.id: Ended(EndReason.UNKNOWN)}
        assert await world.store.all() == []

    # Events

    async def test_events_for_start_and_stop_of_a_session(self, world: World) -> None:
        session = await world.granted(a_request("ann"))
        (started,) = await world.events()
        assert (started.type, started.source, started.subject) == ("stream.started", "stream", session.id)
        assert (started.id, started.time) == (derived_id(session.id, "stream.started"), session.started_at)
        body = started.read(stream_pb2.StreamStarted)
        assert (body.session_id, body.user_id, body.video_id, body.source) == (session.id, "ann", "film", "nas")
        assert body.timestamp.ToJsonString() == session.started_at.isoformat().replace("+00:00", "Z")
        await world.play(session, sec=61.5)
        await world.store.renew([Renewal(session, 5_000_000_000)])
        await world.store.stop(session.id, EndReason.ENDED, bytes_sent=5_000_000_001)
        (event,) = await world.events()
        assert (event.type, event.id) == ("stream.stopped", derived_id(session.id, "stream.stopped"))
        end = event.read(stream_pb2.StreamStopped)
        assert (end.session_id, end.user_id, end.video_id, end.source) == (session.id, "ann", "film", "nas")
        assert (end.bytes_transferred, end.reason) == (5_000_000_001, "ended")
        assert end.duration_seconds == pytest.approx(61.5 + (world.settle_sec or 0), abs=world.settle_sec + 0.01)

    async def test_expired_session_lasted_until_its_last_sign_of_life(self, world: World) -> None:
        session = await world.granted(a_request())
        await world.play(session, sec=12)
        await world.store.renew([Renewal(session, 99, idle_sec=2)])
        await world.wait(3 * IDLE)
        _, stopped = await world.events()
        body = stopped.read(stream_pb2.StreamStopped)
        assert (body.duration_seconds, body.bytes_transferred, body.reason) == (12, 99, "expired")
        assert stopped.time == session.started_at + timedelta(seconds=12)
        assert await world.events() == []

    async def test_bytes_reported_twice_count_once(self, world: World) -> None:
        session = await world.granted(a_request())
        for total in (10, 30, 30, 20):
            await world.store.renew([Renewal(session, total)])
        assert [each.bytes_sent for each in await world.store.all()] == [30]

    async def test_session_that_only_waited_has_no_events(self, world: World) -> None:
        await world.fill()
        leaves, _ = [await world.queued(a_request()) for _ in range(2)]
        await world.store.stop(leaves.id, EndReason.ENDED)
        await world.wait(IDLE)
        assert leaves.id not in {each.subject for each in await world.events()}

    async def test_administrators_stop_has_one_audit_event(self, world: World) -> None:
        playing, *_ = await world.fill()
        waiting = await world.queued(a_request("ann"))
        admin = Admin("root", "192.0.2.7")
        with bound_contextvars(request_id="r-1"):
            for session in (playing, waiting, playing):
                await world.store.stop(session.id, EndReason.ADMIN, by=admin)
        await world.wait(IDLE)
        events = [event for event in await world.events() if event.type == ADMIN_ACTED]
        assert [(each.subject, each.source, each.request_id) for each in events] == [
            (playing.id, "stream", "r-1"),
            (waiting.id, "stream", "r-1"),
        ]
        assert events[0].id == derived_id(playing.id, ADMIN_ACTED)
        act = events[1].read(admin_pb2.AdminActed)
        assert (act.actor_id, act.address, act.action) == ("root", "192.0.2.7", "stream.stopped")
        assert (act.subject_type, act.subject_id) == ("stream", waiting.id)
        assert json.loads(act.details) == {"user_id": "ann", "video_id": "film"}
        assert act.occurred_at.ToDatetime(UTC) == events[1].time

    async def test_every_start_is_followed_by_one_stop(self, world: World) -> None:
        playing = await world.fill()
        waiting = await world.queued(a_request())
        await world.store.start(a_request(playing[1].request.user_id), instead_of=playing[1].id)
        await world.store.stop(playing[0].id, EndReason.ADMIN)
        await world.wait(2 * IDLE)
        events = Counter((each.subject, each.type) for each in await world.events())
        assert set(events.values()) == {1}
        assert len(events) == 2 * (LIMITS.platform + 2)
        assert (waiting.id, "stream.started") in events

    async def test_restored_session_repeats_its_event_under_the_same_id(self, world: World) -> None:
        session = await world.granted(a_request())
        (before,) = await world.events()
        await world.forget()
        await world.store.renew([Renewal(session)])
        (after,) = await world.events()
        assert (after.id, after.body, after.time) == (before.id, before.body, before.time)

    async def test_one_error_event_for_each_code(self, world: World) -> None:
        session = await world.granted(a_request("ann"))
        for code, message in (("A", "파일이 없다"), ("A", "again"), ("B", "\n")):
            await world.store.fail(session.id, code, message)
        await world.store.fail(new_id(), "A", "whose?")
        _, *errors = await world.events()
        bodies = [each.read(stream_pb2.StreamError) for each in errors]
        assert [(each.error_code, each.error_message) for each in bodies] == [("A", "파일이 없다"), ("B", "\n")]
        assert (bodies[0].session_id, bodies[0].user_id, errors[0].type) == (session.id, "ann", "stream.error")
        assert [each.id for each in errors] == [derived_id(session.id, "stream.error", code) for code in "AB"]
        assert isinstance(await world.store.get(session.id), Active)

    async def test_events_stay_until_acknowledged_and_keep_their_order(self, world: World) -> None:
        sessions = await world.fill()
        everything = await world.store.pending(100)
        assert [each.event.subject for each in everything] == [each.id for each in sessions]
        assert await world.store.pending(3) == everything[:3]
        assert await world.store.pending(2, after=everything[0].receipt) == everything[1:3]
        await world.store.acknowledge([everything[1].receipt, everything[3].receipt])
        await world.store.acknowledge([everything[1].receipt])
        assert await world.store.pending(100) == [everything[0], everything[2]]
        await world.store.acknowledge([])
        assert await world.store.pending(100, after=everything[2].receipt) == []

    async def test_events_know_the_request_that_they_are_due_to_and_no_other(self, world: World) -> None:
        with bound_contextvars(request_id="r1", traceparent="t1"):
            stopped, *others = await world.fill()
        silent, *others = others
        waiting = await world.queued(a_request())
        await world.wait(1)
        await world.play(stopped, *others, waiting, sec=IDLE - 5)
        await world.jump(4)
        with bound_contextvars(request_id="r2", traceparent="t2"):
            await world.store.fail(stopped.id, "A", "")
            await world.store.stop(stopped.id, EndReason.ENDED)
        causes = {(each.subject, each.type): (each.request_id, each.traceparent) for each in await world.events()}
        assert causes[stopped.id, "stream.started"] == ("r1", "t1")
        assert causes[stopped.id, "stream.error"] == ("r2", "t2")
        assert causes[stopped.id, "stream.stopped"] == ("r2", "t2")
        assert causes[silent.id, "stream.stopped"] == ("", "")
        assert causes[waiting.id, "stream.started"] == ("", "")

    # Crowds

    async def test_rush_is_granted_exactly_the_free_slots(self, world: World) -> None:
        everyone = [store.start(a_request()) for store in world.stores for _ in range(40)]
        results = Counter(type(each) for each in await asyncio.gather(*everyone))
        assert results == {Active: LIMITS.platform, Queued: LIMITS.queue, LimitReached: len(everyone) - 7}

    async def test_it_can_be_asked_for_its_health(self, world: World) -> None:
        for store in world.stores:
            await store.ping()

    # Finished sessions of a client

    async def test_finished_implicit_session_gives_way_to_next_video_of_its_client(self, world: World) -> None:
        first, second = [await world.granted(of_client("ann", "curl")) for _ in range(LIMITS.per_user)]
        await world.store.renew([Renewal(second, 5)])
        await world.store.renew([Renewal(first, 7, is_finished=True)])
        third = await world.granted(of_client("ann", "curl"))
        for store in world.stores:
            assert await store.get(first.id) == Ended(EndReason.REPLACED)
            assert {each.id for each in await store.of_user("ann")} == {second.id, third.id}
        # The events of the others' ends come when nothing shows a sign of life any more.
        (stopped,) = [event for event in await world.events() if event.id == derived_id(first.id, "stream.stopped")]
        body = stopped.read(stream_pb2.StreamStopped)
        assert (body.bytes_transferred, body.reason) == (7, "replaced")

    async def test_fetches_video_after_video_with_one_open(self, world: World) -> None:
        for number in range(4 * LIMITS.per_user):
            store = world.stores[number % len(world.stores)]
            result = await store.start(of_client("ann", "curl"))
            assert isinstance(result, Active)
            await store.renew([Renewal(result.session, 1, is_finished=True)])
        assert len(await world.store.of_user("ann")) == LIMITS.per_user

    async def test_nothing_else_gives_way(self, world: World) -> None:
        other_device = await world.granted(of_client("ann", "vlc"))
        explicit = await world.granted(a_request("ann"))
        await world.store.renew([Renewal(each, is_finished=True) for each in (other_device, explicit)])
        own = (other_device, explicit)
        for request in (of_client("ann", "curl"), a_request("ann"), a_request("ann", device_key="vlc")):
            refused = await world.store.start(request)
            assert isinstance(refused, LimitReached)
            assert {each.id for each in refused.sessions} == {each.id for each in own}
        await world.granted(of_client("bob", "vlc"))

    async def test_finished_session_stays_while_there_is_room(self, world: World) -> None:
        first = await world.granted(of_client("ann", "curl"))
        await world.store.renew([Renewal(first, is_finished=True)])
        await world.granted(of_client("ann", "curl"))
        assert isinstance(await world.store.get(first.id), Active)

    async def test_finished_session_that_is_asked_for_again_stays(self, world: World) -> None:
        requests = [of_client("ann", "curl") for _ in range(LIMITS.per_user)]
        sessions = [await world.granted(request) for request in requests]
        await world.store.renew([Renewal(each, is_finished=True) for each in sessions])
        for request, session in zip(requests, sessions, strict=True):
            result = await world.stores[-1].start(replace(request, session_id=new_id()))
            assert isinstance(result, Active)
            assert result.session.id == session.id
        assert isinstance(await world.store.start(of_client("ann", "curl")), LimitReached)

    async def test_session_that_any_replica_sends_does_not_give_way(self, world: World) -> None:
        requests = [of_client("ann", "curl") for _ in range(LIMITS.per_user)]
        sessions = [await world.granted(request) for request in requests]
        for store in world.stores:
            for request in requests:
                await store.start(request)
        for store in world.stores:
            assert isinstance(await world.store.start(of_client("ann", "curl")), LimitReached)
            await store.renew([Renewal(each, is_finished=True) for each in sessions])
        await world.granted(of_client("ann", "curl"))

    async def test_finished_session_gives_its_platform_slot_to_its_client(self, world: World) -> None:
        first = await world.granted(of_client("ann", "curl"))
        await world.store.renew([Renewal(first, is_finished=True)])
        await world.fill()
        await world.queued(a_request())
        assert isinstance(await world.store.start(of_client("bob", "curl")), LimitReached)
        await world.granted(of_client("ann", "curl"))
        assert await world.store.get(first.id) == Ended(EndReason.REPLACED)

    async def test_longest_silent_finished_session_gives_way(self, world: World) -> None:
        first, second = [await world.granted(of_client("ann", "curl")) for _ in range(LIMITS.per_user)]
        await world.jump(1)
        await world.store.renew([Renewal(first, is_finished=True), Renewal(second, idle_sec=1, is_finished=True)])
        await world.granted(of_client("ann", "curl"))
        assert await world.store.get(second.id) == Ended(EndReason.REPLACED)
        assert isinstance(await world.store.get(first.id), Active)


def of_client(user: str, device: str) -> SessionRequest:
    """An implicit session of another video."""
    return a_request(user, video_id=new_id(), kind=Kind.IMPLICIT, device_key=device)
