"""Redis paused, killed, emptied, out of reach: by its own clock, with replicas that go on serving all the while."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from kit.testing.bus_contract import eventually
from kit.testing.servers import RedisServer, free_port
from services.stream.slots import (
    Active,
    Ended,
    EndReason,
    Limits,
    Renewal,
    Session,
    SessionRequest,
    SlotsUnavailableError,
    Unavailable,
    redis,
)
from services.stream.slots.redis import RedisSlots
from services.stream.tests.unit.slots.support import a_request

LIMITS = Limits(platform=20, per_user=3, queue=0, idle_sec=2.4, tombstone_sec=60)
PLAYING = 12
REPLICAS = 4


class Replica:
    """Serves sessions and renews them as often as it must, whatever happens to the store."""

    def __init__(self, url: str, number: int, prefix: str) -> None:
        self.store = RedisSlots(url, LIMITS, replica=f"replica-{number}", prefix=prefix)
        self.serves: dict[str, Session] = {}
        self.gone: list[str] = []
        self.results: Counter[str] = Counter()

    async def start(self, request: SessionRequest) -> None:
        """Start a session."""
        result = await self.store.start(request)
        self.results[type(result).__name__] += 1
        if isinstance(result, Active):
            self.serves[result.session.id] = result.session

    async def tick(self) -> None:
        """Renew until cancelled, somewhat more often than it must."""
        while True:
            with suppress(SlotsUnavailableError):
                statuses = await self.store.renew([Renewal(each) for each in self.serves.values()])
                for session_id, status in statuses.items():
                    if isinstance(status, Ended):
                        self.gone.append(session_id)
                        self.serves.pop(session_id, None)
            await asyncio.sleep(LIMITS.tick_sec / 2)


class Platform:
    """Replicas, newcomers who never cease to try, and a watcher who counts those that are served."""

    def __init__(self, url: str) -> None:
        prefix = str(uuid.uuid4())
        self.replicas = [Replica(url, number, prefix) for number in range(REPLICAS)]
        self.most_served = 0

    @property
    def served(self) -> set[str]:
        """Return the sessions that all replicas serve."""
        return {each for replica in self.replicas for each in replica.serves}

    @property
    def gone(self) -> list[str]:
        """Return the sessions that the store reported to replicas as ended."""
        return [each for replica in self.replicas for each in replica.gone]

    @property
    def refused(self) -> int:
        """Return how many newcomers met a limit."""
        return sum(each.results["LimitReached"] for each in self.replicas)

    async def fill(self, count: int) -> set[str]:
        """Start so many sessions; wait until any are granted."""
        async with asyncio.timeout(60):
            for number in range(count):
                while len(self.served) <= number:
                    await self.replicas[number % REPLICAS].start(a_request())
                    await asyncio.sleep(0.01)
        return self.served

    async def try_to_come_in(self) -> None:
        """Try to start sessions, one after the other, on random replicas."""
        while True:
            await random.choice(self.replicas).start(a_request())
            await asyncio.sleep(0.01)

    async def watch(self) -> None:
        """Record the most sessions served at a time."""
        while True:
            self.most_served = max(self.most_served, len(self.served))
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Platform]:
    """A platform with its replicas at work."""
    platform = Platform(url)
    tasks = [asyncio.create_task(each.tick()) for each in platform.replicas]
    tasks.append(asyncio.create_task(platform.watch()))
    try:
        yield platform
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for replica in platform.replicas:
            await replica.store.close()


@pytest.fixture
def server(servers_directory: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, that it may break."""
    folder = servers_directory / str(uuid.uuid4())
    with RedisServer(folder) as server:
        yield server


async def paused(server: RedisServer) -> None:
    """Longer than the idle time."""
    server.pause()
    await asyncio.sleep(1.5 * LIMITS.idle_sec)
    server.resume()


async def killed(server: RedisServer) -> None:
    """And away for longer than the idle time."""
    server.kill()
    await asyncio.sleep(1.5 * LIMITS.idle_sec)
    server.start()


async def restarted(server: RedisServer) -> None:
    """Killed, and there again at once."""
    server.kill()
    server.start()


async def emptied(server: RedisServer) -> None:
    """All data lost between two requests."""
    async with Redis.from_url(server.url) as client:
        await client.flushall()


async def killed_and_emptied(server: RedisServer) -> None:
    """As if its disk had been lost."""
    server.kill()
    for file in (server.directory / "appendonlydir").iterdir():
        file.unlink()
    server.start()


@pytest.mark.parametrize("fault", [paused, killed, restarted, emptied, killed_and_emptied])
async def test_redis_fault_keeps_sessions_and_grants_no_slot_twice(
    server: RedisServer, fault: Callable[[RedisServer], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "DEADLINE_SEC", 0.4)
    async with running(server.url) as platform:
        before = await platform.fill(PLAYING)
        newcomers = [asyncio.create_task(platform.try_to_come_in()) for _ in range(4)]
        await fault(server)
        # As many as there is room for, and then only refusals.
        await eventually(lambda: len(platform.served) == LIMITS.platform)
        refused = platform.refused
        await eventually(lambda: platform.refused > refused + 20)
        for task in newcomers:
            task.cancel()
        await asyncio.gather(*newcomers, return_exceptions=True)
        assert before <= platform.served
        assert platform.most_served == LIMITS.platform
        # Nothing leaks either: the store holds the sessions that the replicas serve, and no others.
        store = platform.replicas[0].store
        async with asyncio.timeout(60):
            while {each.id for each in await store.all()} != platform.served:  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.05)
        assert not set(platform.gone) & before


async def test_grants_nothing_before_replicas_had_time_to_report(server: RedisServer) -> None:
    async with running(server.url) as platform:
        before = await platform.fill(LIMITS.platform)
        await emptied(server)
        loop = asyncio.get_running_loop()
        began = loop.time()
        result = await platform.replicas[0].store.start(a_request())
        assert isinstance(result, Unavailable)
        assert 0 < result.retry_after_sec <= LIMITS.idle_sec
        async with asyncio.timeout(60):
            while not platform.refused:
                await platform.replicas[0].start(a_request())
                await asyncio.sleep(0.02)
        assert loop.time() - began > LIMITS.idle_sec - LIMITS.tick_sec
        assert platform.served == before


async def test_tells_silence_of_all_replicas_from_a_loss(server: RedisServer) -> None:
    silence_sec = LIMITS.gap_sec + 0.1
    store = RedisSlots(server.url, LIMITS, replica="a")

    async def seconds_closed() -> float:
        await asyncio.sleep(silence_sec)
        return await store.seconds_until_accepting()

    async def pause() -> None:
        server.pause()
        await asyncio.sleep(silence_sec)
        server.resume()

    async with asyncio.timeout(60):
        while await store.seconds_until_accepting():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)
    assert await seconds_closed() == 0
    await pause()
    assert await seconds_closed() == 0
    # The same data, but it need not be all of it: with `everysec` the last second is missing.
    server.kill()
    server.start()
    assert await seconds_closed() > 0
    await store.close()


async def test_a_start_without_an_answer_leaves_no_slot_behind(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A pause that is shorter than two ticks is no gap: Redis does then what it was asked meanwhile.
    limits = Limits(platform=3, idle_sec=60)
    store = RedisSlots(server.url, limits, replica="a")
    await store.renew([])
    async with Redis.from_url(server.url) as client:
        await client.hset("{marquee:slots}:clock", "grace", "0")
    own = await store.start(a_request("ann"))
    theirs = await store.start(a_request("cid"))
    assert isinstance(own, Active)
    assert isinstance(theirs, Active)

    monkeypatch.setattr(redis, "DEADLINE_SEC", 0.2)
    requests = [a_request() for _ in range(3)]
    server.pause()
    hung_up = asyncio.create_task(store.start(requests[0]))
    assert isinstance(await store.start(requests[1]), Unavailable)
    with pytest.raises(SlotsUnavailableError):
        await store.stop(own.session.id, EndReason.ENDED, user_id="ann")
    for other_users in (theirs.session.id, requests[2].session_id):
        with pytest.raises(SlotsUnavailableError):
            await store.stop(other_users, EndReason.STOPPED, user_id="bob")
    hung_up.cancel()
    await asyncio.gather(hung_up, return_exceptions=True)
    server.resume()

    monkeypatch.undo()
    await store.renew([])
    assert [each.id for each in await store.all()] == [theirs.session.id]
    for request in (*requests[:2], own.session.request):
        assert await store.get(request.session_id) == Ended(EndReason.ENDED)
        assert isinstance(await store.start(request), Unavailable)
    assert isinstance(await store.start(requests[2]), Active)
    await store.close()


async def test_an_outage_however_long_fills_no_memory(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "MAX_PENDING_STOPS", 2)
    store = RedisSlots(server.url, LIMITS, replica="a")
    server.kill()
    requests = [a_request() for _ in range(3)]
    for request in requests:
        assert isinstance(await store.start(request), Unavailable)
    server.start()
    await store.renew([])
    reasons = [await store.get(each.session_id) for each in requests]
    assert reasons == [Ended(EndReason.UNKNOWN), Ended(EndReason.ENDED), Ended(EndReason.ENDED)]
    await store.close()


async def test_unreachable_redis_fails_every_operation_within_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(redis, "DEADLINE_SEC", 0.1)
    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    for port in (free_port(), silent.sockets[0].getsockname()[1]):
        store = RedisSlots(f"redis://127.0.0.1:{port}", LIMITS, replica="a")
        async with asyncio.timeout(60):
            assert await store.start(a_request()) == Unavailable(LIMITS.tick_sec)
            for operation in (
                store.renew([]),
                store.stop("a", EndReason.ENDED),
                store.fail("a", "A", ""),
                store.get("a"),
                store.of_user("a"),
                store.all(),
                store.pending(1),
                store.acknowledge(["1-0"]),
                store.seconds_until_accepting(),
                store.ping(),
            ):
                with pytest.raises(SlotsUnavailableError):
                    await operation
        await store.close()
    silent.close()
