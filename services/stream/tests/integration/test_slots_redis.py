"""The slots of many replicas, in a real Redis."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from kit.audit import Admin
from kit.testing.bus_contract import eventually
from kit.testing.servers import RedisServer, free_port
from marquee.events.v1 import stream_pb2
from services.stream.slots import (
    Active,
    Ended,
    EndReason,
    Kind,
    Limits,
    Queued,
    Renewal,
    SlotStore,
    Unavailable,
    redis,
    redis_batch,
)
from services.stream.slots.redis import KEYS, RedisSlots
from services.stream.slots.redis_batch import PendingStart, StartBatcher
from services.stream.tests.unit.slots.contract import SlotsContract
from services.stream.tests.unit.slots.machine import SlotsMachine, check
from services.stream.tests.unit.slots.support import BEGINNING_SEC, LIMITS, World, a_request

REPLICAS = 4


class ClockedSlots(RedisSlots):
    """Runs the scripts of production, but for the lines that read Redis's clock: the time is a key beside the others.

    So the suite and the model decide what time it is. That the real clock is read right, and its gaps are noticed, is
    shown further down, by a Redis that is stopped, killed and emptied.
    """

    server_time: ClassVar[str] = """
        local function server_time()
          return tonumber(redis.call('GET', (string.gsub(KEYS[1], 'clock$', 'test_time'))))
        end
    """


class RedisWorld(World):
    refuses_after_gap = True

    def __init__(self, url: str, limits: Limits = LIMITS) -> None:
        super().__init__(limits)
        self.settle_sec = limits.gap_sec
        self._prefix = str(uuid.uuid4())
        self.redis = Redis.from_url(url, single_connection_client=True, decode_responses=True)
        self._now = BEGINNING_SEC
        self._stores = [
            ClockedSlots(url, limits, replica=f"replica-{number}", prefix=self._prefix) for number in range(REPLICAS)
        ]

    @property
    def now(self) -> float:
        return self._now

    @property
    def stores(self) -> Sequence[SlotStore]:
        return self._stores

    def key(self, name: str) -> str:
        """Of the slots, by the last part of its name."""
        return f"{{{self._prefix}}}:{name}"

    async def jump(self, sec: float) -> None:
        self._now = round(self._now + sec, 3)
        await self.redis.set(self.key("test_time"), round(self._now * 1000))

    async def forget(self) -> None:
        await self.redis.delete(*map(self.key, KEYS))

    async def run_out(self) -> None:
        """Let all sessions expire and events be read; then nothing of them may be left."""
        for _ in range(math.ceil((2 * self.limits.idle_sec + self.limits.tombstone_sec) / self.limits.gap_sec)):
            await self.jump(self.limits.gap_sec)
            await self.store.renew([])
        await self.events()
        left = {name for name in KEYS if await self.redis.exists(self.key(name))}
        assert left <= {"clock", "events"}
        assert await self.redis.xlen(self.key("events")) == 0

    async def close(self) -> None:
        await self.redis.delete(*map(self.key, (*KEYS, "test_time")))
        await self.redis.aclose()
        for store in self._stores:
            await store.close()


@asynccontextmanager
async def a_world(url: str, limits: Limits = LIMITS) -> AsyncIterator[RedisWorld]:
    """One in which newcomers are let in."""
    world = RedisWorld(url, limits)
    try:
        await world.jump(0)
        await world.open()
        yield world
    finally:
        await world.close()


class TestRedisSlots(SlotsContract):
    @pytest.fixture
    async def world(self, redis_server: RedisServer) -> AsyncIterator[RedisWorld]:
        async with a_world(redis_server.url) as world:
            yield world

    async def test_nothing_new_is_granted_for_one_idle_time_after_a_gap(self, world: RedisWorld) -> None:
        session = await world.granted(a_request("ann"))
        for cause in (world.forget, lambda: world.jump(LIMITS.gap_sec + 0.001), lambda: world.jump(-0.001)):
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

    async def test_slot_freed_after_a_gap_goes_to_the_head_after_one_idle_time(self, world: RedisWorld) -> None:
        playing = await world.fill()
        waiting = await world.queued(a_request())
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
        assert set(await world.redis.hgetall(world.key("clock"))) == {"now", "grace", "relay", "relay_until"}
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
        return world

    async def end_world(self) -> None:
        assert isinstance(self.world, RedisWorld)
        try:
            await self.world.run_out()
        finally:
            await self.world.close()


def test_random_operations_match_the_model_and_leave_no_keys(redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url
    check(RedisMachine, examples=25, steps=40)


async def test_answers_callers_in_order(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "CONNECTIONS", 1)
    async with a_world(redis_server.url) as world:
        answered = Counter[int]()

        async def ask_again_and_again(number: int) -> None:
            while True:
                await world.store.get("unknown")
                answered[number] += 1

        asking = [asyncio.create_task(ask_again_and_again(number)) for number in range(4)]
        try:
            await eventually(lambda: answered.total() > 200)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        assert max(answered.values()) - min(answered[number] for number in range(4)) <= 1


async def test_cancellation_at_any_moment_stops_the_caller(redis_server: RedisServer) -> None:
    async with a_world(redis_server.url) as world:

        async def ask_again_and_again() -> None:
            while True:
                await world.store.get("unknown")

        for turns in range(100):
            asking = asyncio.create_task(ask_again_and_again())
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking], timeout=10)
            assert asking.cancelled()
        # Nor does it take connections with it.
        await world.granted(a_request())


async def test_concurrent_starts_share_round_trips(redis_server: RedisServer) -> None:
    async with a_world(redis_server.url, Limits()) as world:
        store, requests = world.store, [a_request() for _ in range(60)]
        await world.granted(a_request())
        before = await world.redis.info("stats")
        asking = [asyncio.create_task(store.start(each)) for each in requests]
        await asyncio.sleep(0)
        asking[7].cancel()
        results = await asyncio.gather(*asking, return_exceptions=True)
        after = await world.redis.info("stats")
        assert after["total_reads_processed"] - before["total_reads_processed"] <= 5, "the two looks among them"
        assert isinstance(results.pop(7), asyncio.CancelledError)
        given_up = requests.pop(7)
        granted = [each.session.id for each in results if isinstance(each, Active)]
        assert granted == [each.session_id for each in requests]
        assert given_up.session_id not in {each.id for each in await store.all()}


async def test_rush_is_sent_in_batches(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_batch, "BATCH", 10)
    batches: list[int] = []
    evaluate_all = StartBatcher._evaluate_all

    async def noted(self: StartBatcher, starts: Sequence[PendingStart]) -> None:
        batches.append(len(starts))
        await evaluate_all(self, starts)

    monkeypatch.setattr(StartBatcher, "_evaluate_all", noted)
    async with a_world(redis_server.url, Limits()) as world:
        await asyncio.gather(*(world.store.start(a_request()) for _ in range(25)))
        assert len(await world.store.all()) == 25
    assert batches == [10, 10, 5]


@pytest.mark.parametrize("error", [RuntimeError("the handler is closed"), KeyError("anything at all")])
async def test_unexpected_failure_answers_all_waiting_starts(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async with a_world(redis_server.url) as world:

        async def fail(_self: Pipeline, *, raise_on_error: bool) -> list[object]:
            del raise_on_error
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(Pipeline, "execute", fail)
            async with asyncio.timeout(60):
                results = await asyncio.gather(*(world.store.start(a_request()) for _ in range(3)))
        assert {type(each) for each in results} == {Unavailable}
        await world.granted(a_request())


class TestRush:
    """Many at once, through replicas with connections of their own."""

    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(redis, "DEADLINE_SEC", 60)

    async def rush(self, world: RedisWorld, count: int, user: str = "") -> Counter[str]:
        stores = world.stores
        results = await asyncio.gather(*(stores[n % REPLICAS].start(a_request(user)) for n in range(count)))
        return Counter(type(each).__name__ for each in results)

    async def all_leave(self, world: RedisWorld) -> None:
        sessions = await world.store.all()
        # Those that wait first, or they would be granted what the others free.
        await asyncio.gather(*(world.store.stop(each.id, EndReason.ENDED) for each in reversed(sessions)))
        assert await world.store.all() == []

    async def test_one_user_gets_exactly_three(self, redis_server: RedisServer) -> None:
        async with a_world(redis_server.url, Limits()) as world:
            for _ in range(50):
                assert await self.rush(world, 200, "ann") == {"Active": 3, "LimitReached": 197}
                await self.all_leave(world)

    async def test_many_get_exactly_a_hundred_and_fifty_may_wait(self, redis_server: RedisServer) -> None:
        async with a_world(redis_server.url, Limits()) as world:
            for _ in range(50):
                assert await self.rush(world, 2000) == {"Active": 100, "Queued": 50, "LimitReached": 1850}
                await self.all_leave(world)
            await world.run_out()


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
