"""How long a session lasts, whatever the stores and their clocks do meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from marquee.events.v1 import stream_pb2
from services.stream.slots import Active, Ended, EndReason, Queued, Renewal, State, Unavailable
from services.stream.tests.unit.slots.support import IDLE, LIMITS, TICK, World, a_request


class LifetimeContract:
    """Tests of signs of life and of gaps."""

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
