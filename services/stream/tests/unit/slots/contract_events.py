"""Which events a store emits."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, timedelta

import pytest
from structlog.contextvars import bound_contextvars

from kit.audit import ADMIN_ACTED, Admin
from kit.ids import derived_id, new_id
from marquee.events.v1 import admin_pb2, stream_pb2
from services.stream.slots import Active, EndReason, Renewal
from services.stream.tests.unit.slots.support import IDLE, LIMITS, World, a_request


class EventsContract:
    """Tests of the events of sessions."""

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
