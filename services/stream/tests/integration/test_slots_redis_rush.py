"""Many starts at once, and the batches in which they are sent to a real Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from redis.asyncio.client import Pipeline

from kit.testing.bus_contract import eventually
from kit.testing.depth import cases
from kit.testing.servers import RedisServer
from services.stream.slots import Active, EndReason, Limits, Unavailable, redis, redis_batch
from services.stream.slots.redis_batch import PendingStart, StartBatcher
from services.stream.tests.integration.slots_world import REPLICAS, RedisWorld, a_world
from services.stream.tests.unit.slots.support import a_request


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
            for _ in range(cases(quick=20, deep=50)):
                assert await self.rush(world, 200, "ann") == {"Active": 3, "LimitReached": 197}
                await self.all_leave(world)

    async def test_many_get_exactly_a_hundred_and_fifty_may_wait(self, redis_server: RedisServer) -> None:
        async with a_world(redis_server.url, Limits()) as world:
            for _ in range(cases(quick=12, deep=50)):
                assert await self.rush(world, 2000) == {"Active": 100, "Queued": 50, "LimitReached": 1850}
                await self.all_leave(world)
            await world.run_out()
