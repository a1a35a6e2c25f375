"""The slots of many replicas, in a real Redis."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from kit.audit import Admin
from kit.testing.depth import cases
from kit.testing.servers import RedisServer, free_port
from marquee.events.v1 import stream_pb2
from services.stream.slots import (
    Active,
    Ended,
    EndReason,
    Kind,
    LimitReached,
    Limits,
    Queued,
    Renewal,
    SlotsUnavailableError,
    Unavailable,
)
from services.stream.slots.redis import KEYS
from services.stream.tests.integration.slots_world import RedisWorld, a_world
from services.stream.tests.unit.slots.contract import SlotsContract
from services.stream.tests.unit.slots.machine import SlotsMachine, check
from services.stream.tests.unit.slots.support import LIMITS, World, a_request


class TestRedisSlots(SlotsContract):
    @pytest.fixture
    async def world(self, redis_server: RedisServer) -> AsyncIterator[RedisWorld]:
        async with a_world(redis_server.url) as world:
            yield world

    @pytest.mark.parametrize("gap_sec", [LIMITS.gap_sec + 0.001, 100 * LIMITS.idle_sec, -0.001])
    async def test_after_a_gap_what_is_left_is_granted_at_once(self, world: RedisWorld, gap_sec: float) -> None:
        playing = await world.fill()
        left = playing.pop()
        await world.store.stop(left.id, EndReason.ENDED)
        await world.jump(gap_sec)
        assert await world.store.seconds_until_accepting() == 0
        newcomer = await world.granted(a_request())
        # The sessions of before keep theirs for one idle time, whether their replicas are there or not.
        for _ in range(math.ceil(LIMITS.idle_sec / LIMITS.tick_sec) - 1):
            await world.jump(LIMITS.tick_sec)
            await world.store.renew([Renewal(newcomer)])
            assert isinstance(await world.store.start(a_request(kind=Kind.IMPLICIT)), LimitReached)
        statuses = await world.stores[1].renew([Renewal(each) for each in playing])
        assert {type(each) for each in statuses.values()} == {Active}

    async def test_restart_without_a_gap_is_noted_in_time_for_the_next_gap(self, world: RedisWorld) -> None:
        await world.restart()
        await world.wait(LIMITS.gap_sec)
        await world.jump(LIMITS.gap_sec + 0.001)
        assert await world.store.seconds_until_accepting() == 0

    async def test_gap_while_replicas_report_gives_them_the_whole_time_again(self, world: RedisWorld) -> None:
        await world.forget()
        await world.store.renew([])
        await world.jump(2 * LIMITS.idle_sec)
        assert await world.store.seconds_until_accepting() == LIMITS.idle_sec

    async def test_server_that_hides_its_identity_counts_as_another(self, world: RedisWorld) -> None:
        await world.redis.delete(world.key("test_server"))
        await world.wait(LIMITS.gap_sec)
        await world.jump(LIMITS.gap_sec + 0.001)
        assert await world.store.seconds_until_accepting() == LIMITS.idle_sec

    async def test_nothing_new_is_granted_for_one_idle_time_after_a_loss(self, world: RedisWorld) -> None:
        session = await world.granted(a_request("ann"))

        async def restart_after_a_gap() -> None:
            await world.restart()
            await world.jump(LIMITS.gap_sec + 0.001)

        for cause in (world.forget, restart_after_a_gap):
            await cause()
            assert await world.store.seconds_until_accepting() == LIMITS.idle_sec
            for request in (a_request(), a_request("ann"), a_request(kind=Kind.IMPLICIT)):
                assert await world.store.start(request) == Unavailable(LIMITS.idle_sec)
            takeover = await world.store.start(a_request("ann"), instead_of=session.id)
            assert isinstance(takeover, Unavailable)
            await world.play(session, sec=LIMITS.idle_sec - 0.001)
            assert await world.store.start(a_request()) == Unavailable(0.001)
            await world.jump(0.001)
            assert await world.store.seconds_until_accepting() == 0
            newcomer = await world.granted(a_request())
            assert {each.id for each in await world.store.all()} == {session.id, newcomer.id}
            await world.store.stop(newcomer.id, EndReason.ENDED)

    async def test_slot_freed_after_a_loss_goes_to_the_head_after_one_idle_time(self, world: RedisWorld) -> None:
        playing = await world.fill()
        waiting = await world.queued(a_request())
        await world.restart()
        await world.jump(LIMITS.idle_sec)
        await world.store.stop(playing[0].id, EndReason.ENDED)
        await world.play(*playing[1:], waiting, sec=LIMITS.idle_sec - 0.001)
        assert isinstance(await world.store.get(waiting.id), Queued)
        await world.jump(0.001)
        assert isinstance(await world.store.get(waiting.id), Active)

    async def test_dead_replicas_slots_are_freed_except_of_sessions_served_elsewhere(
        self, redis_server: RedisServer
    ) -> None:
        limits = Limits(platform=20, idle_sec=30)
        async with a_world(redis_server.url, limits) as world:
            doomed, other = world.stores[:2]
            sessions = await world.fill()
            moved, lost = sessions[:5], sessions[5:]
            await doomed.renew([Renewal(each, 1000) for each in sessions])
            for _ in range(6):
                await world.jump(limits.tick_sec)
                statuses = await other.renew([Renewal(each, 10) for each in moved])
                assert all(isinstance(each, Active) for each in statuses.values())
            left = await other.all()
            assert [(each.id, each.replica, each.bytes_sent) for each in left] == [
                (each.id, "replica-1", 1010) for each in moved
            ]
            events = [each for each in await world.events() if each.type == "stream.stopped"]
            assert sorted(each.subject for each in events) == sorted(each.id for each in lost)
            bodies = [each.read(stream_pb2.StreamStopped) for each in events]
            assert {(each.bytes_transferred, each.duration_seconds, each.reason) for each in bodies} == {
                (1000, 0, "expired")
            }

    async def test_bytes_of_all_replicas_count_even_when_reported_after_a_stop(self, world: RedisWorld) -> None:
        first, second, third, _ = world.stores
        session = await world.granted(a_request())
        for store, total in ((first, 5), (second, 70), (second, 60), (first, 6)):
            await store.renew([Renewal(session, total)])
        stopped = await third.stop(session.id, EndReason.STOPPED, bytes_sent=100)
        assert stopped is not None
        assert stopped.bytes_sent == 176
        await world.jump(LIMITS.tick_sec)
        assert await second.renew([Renewal(session, 90)]) == {session.id: Ended(EndReason.STOPPED)}
        assert await first.renew([Renewal(session, 8, idle_sec=60)]) == {session.id: Ended(EndReason.STOPPED)}
        assert [each.event.type for each in await world.store.pending(9)] == ["stream.started"]
        _, event = await world.events()
        body = event.read(stream_pb2.StreamStopped)
        assert (body.bytes_transferred, body.duration_seconds, body.reason) == (198, 0, "stopped")
        await second.renew([Renewal(session, 1000)])
        assert await world.events() == []

    async def test_stop_that_got_no_answer_still_ends_own_sessions_only(
        self, world: RedisWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = world.store
        kept, ended = [await world.granted(a_request("ann")) for _ in range(2)]

        async def fail(*_: object, **__: object) -> None:
            raise SlotsUnavailableError

        with monkeypatch.context() as away:
            away.setattr(store, "_run", fail)
            for session, user_id in ((kept, "bob"), (ended, "ann")):
                with pytest.raises(SlotsUnavailableError):
                    await store.stop(session.id, EndReason.STOPPED, user_id=user_id)
        await store.renew([])
        assert [each.id for each in await store.all()] == [kept.id]

    async def test_one_replica_relays_and_another_takes_over_when_it_stops_asking(self, world: RedisWorld) -> None:
        await world.granted(a_request())
        first, second, *_ = world.stores
        (event,) = await first.pending(10)
        await world.jump(LIMITS.gap_sec - 0.001)
        assert await second.pending(10) == []
        assert await first.pending(10) == [event]
        await world.jump(LIMITS.gap_sec)
        assert await second.pending(10) == [event]
        assert await first.pending(10) == []
        await world.jump(-3600)
        assert await first.pending(10) == [event]

    async def test_loads_scripts_again_that_redis_lost(self, world: RedisWorld, redis_server: RedisServer) -> None:
        session = await world.granted(a_request())
        async with Redis.from_url(redis_server.url) as client:
            await client.script_flush()
            assert await world.store.get(session.id) == Active(session)
            await client.script_flush()
            results = await asyncio.gather(*(world.store.start(a_request()) for _ in range(LIMITS.platform - 1)))
        assert {type(each) for each in results} == {Active}

    async def test_ignores_fields_of_a_newer_release(self, world: RedisWorld) -> None:
        request = a_request()
        await world.granted(request)
        facts = await world.redis.hget(world.key("facts"), request.session_id)
        await world.redis.hset(world.key("facts"), request.session_id, str(facts)[:-1] + ', "new": {"deep": [1]}}')
        assert [each.request for each in await world.store.all()] == [request]

    async def test_names_in_redis_are_those_of_earlier_releases(self, world: RedisWorld) -> None:
        # During a rolling update old and new replicas share one Redis.
        session = await world.granted(a_request("ann", kind=Kind.IMPLICIT, device_key="curl"))
        await world.store.fail(session.id, "A", "message")
        state = json.loads(str(await world.redis.hget(world.key("states"), session.id)))
        common = {"replica", "started", "seen", "bytes", "busy", "user", "client", "device", "errors"}
        assert set(state) == common
        await world.store.pending(1)
        await world.store.stop(session.id, EndReason.ADMIN, by=Admin("root", "192.0.2.7"))
        state = json.loads(str(await world.redis.hget(world.key("states"), session.id)))
        assert set(state) == common | {"ended", "cause"}
        assert set(await world.redis.hgetall(world.key("clock"))) == {"now", "grace", "server", "relay", "relay_until"}
        assert await world.redis.hgetall(world.key("reasons")) == {session.id: "admin"}
        await world.wait(LIMITS.gap_sec)
        entries = [fields or {} for _, fields in await world.redis.xrange(world.key("events")) or []]
        shared = {"type", "facts", "at", "traceparent", "request_id"}
        assert {fields["type"]: set(fields) - shared for fields in entries} == {
            "stream.started": set(),
            "stream.error": {"code", "message"},
            "admin.acted": {"admin", "address"},
            "stream.stopped": {"started", "bytes", "reason"},
        }
        assert json.loads(entries[0]["facts"]) == {
            "session_id": session.id,
            "user_id": "ann",
            "video_id": "film",
            "kind": "implicit",
            "device_name": session.request.device_name,
            "device_key": "curl",
            "source": "nas",
        }
        names = "clock leases queue facts states users ended reasons settling events"
        assert names.split() == list(KEYS)


class RedisMachine(SlotsMachine):
    url: ClassVar[str]

    async def new_world(self) -> World:
        world = RedisWorld(self.url)
        await world.jump(0)
        await world.restart()
        return world

    async def end_world(self) -> None:
        assert isinstance(self.world, RedisWorld)
        try:
            await self.world.run_out()
        finally:
            await self.world.close()


def test_random_operations_match_the_model_and_leave_no_keys(redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url
    check(RedisMachine, examples=cases(quick=15, deep=300), steps=40)


async def test_all_keys_are_of_one_slot_of_a_cluster(tmp_path: Path) -> None:
    with RedisCluster(tmp_path) as server:
        async with a_world(server.url) as world:
            await world.fill()
            waiting = await world.queued(a_request("ann"))
            await world.store.start(a_request("ann"), instead_of=waiting.id)
            await world.store.fail(waiting.id, "A", "")
            await world.store.of_user("ann")
            await world.wait(LIMITS.idle_sec)
            await world.run_out()


class RedisCluster(RedisServer):
    """A cluster of one."""

    def _command(self) -> list[str]:
        # By default its second port is 10000 higher, where anybody may be by now.
        return [*super()._command(), "--cluster-enabled", "yes", "--cluster-port", str(free_port())]

    def _answers(self) -> bool:
        if not super()._answers():
            return False
        with SyncRedis(host="127.0.0.1", port=self.port, decode_responses=True) as client:
            info = client.cluster("INFO")
            if info["cluster_slots_assigned"] == "0":
                client.cluster("ADDSLOTSRANGE", 0, 16383)
            return bool(info["cluster_state"] == "ok")
