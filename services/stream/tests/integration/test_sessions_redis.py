"""Play sessions of several replicas that share a real Redis, over HTTP: exact, and surviving the death of each part."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from kit.testing.servers import RedisServer
from marquee.events.v1 import stream_pb2
from services.stream.slots import redis
from services.stream.tests.support import Answer, ServiceHarness, connected, running, until

pytestmark = pytest.mark.usefixtures("never_stale")

DATA = os.urandom(600_000)
SESSIONS = "/api/play-sessions"
IDLE_SEC = 3
REPLICAS = 4


@pytest.fixture
def server(servers_directory: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, that it may break."""
    with RedisServer(servers_directory / str(uuid.uuid4())) as server:
        yield server


async def let_in(url: str) -> None:
    """End the time in which a new Redis grants nothing because replicas may be serving."""
    async with Redis.from_url(url) as client:
        await client.hset("{marquee:slots}:clock", "grace", "0")


@asynccontextmanager
async def replicas(
    store: Path, server: RedisServer, count: int, **settings: Any
) -> AsyncIterator[list[ServiceHarness]]:
    """Replicas that know the same films, users and ticket key."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mq-")))
        shared: dict[str, Any] = {
            "redis_url": server.url,
            "ticket_key_file": folder / "tickets.key",
            "session_idle_sec": IDLE_SEC,
        }
        stages: list[ServiceHarness] = []
        for number in range(count):
            sockets = folder / str(number)
            sockets.mkdir()
            harness = await stack.enter_async_context(running(store, sockets, **shared | settings))
            if stages:
                harness.catalog.sources = stages[0].catalog.sources
            stages.append(harness)
        await asyncio.gather(*(harness.registry.renew() for harness in stages))
        await let_in(server.url)
        yield stages


async def start(harness: ServiceHarness, film: str, user: str = "viewer", **body: Any) -> Answer:
    return await harness.call("POST", SESSIONS, {"video_id": film} | body, x_test_user=user)


async def taken(harness: ServiceHarness) -> list[dict[str, Any]]:
    """Every session of the platform."""
    answer = await harness.call("GET", "/api/admin/streams?page_size=100", x_test_user="root:admin")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_rush_of_starts_by_one_user_over_four_replicas_grants_three(
    store: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Four replicas, and their 200 clients, share one process here: a pause of some ticks is no fault of Redis.
    monkeypatch.setattr(redis, "DEADLINE_SEC", 60)
    limits = {"max_streams_per_user": 3, "max_streams": 100, "session_idle_sec": 600}
    async with replicas(store, server, REPLICAS, **limits) as stages:
        film = stages[0].store("film.mp4", DATA)
        for _ in range(3):
            answers = await asyncio.gather(*(start(stages[n % REPLICAS], film) for n in range(200)))
            assert Counter(each.status for each in answers) == {201: 3, 429: 197}
            granted = [each.json()["session_id"] for each in answers if each.status == 201]
            assert sorted(each["session_id"] for each in await taken(stages[1])) == sorted(granted)
            for n, session_id in enumerate(granted):
                assert (await stages[n].call("DELETE", f"{SESSIONS}/{session_id}")).status == 204
            assert await taken(stages[0]) == []


async def test_a_rush_of_many_over_four_replicas_grants_a_hundred_and_queues_fifty(
    store: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "DEADLINE_SEC", 60)
    limits = {"max_streams": 100, "stream_queue": 50, "session_idle_sec": 600}
    async with replicas(store, server, REPLICAS, **limits) as stages:
        film = stages[0].store("film.mp4", DATA)
        turns = asyncio.Semaphore(200)

        async def come(number: int) -> Answer:
            async with turns:
                return await start(stages[number % REPLICAS], film, f"viewer-{number}")

        answers = await asyncio.gather(*(come(number) for number in range(2000)))
        assert Counter(each.status for each in answers) == {201: 100, 202: 50, 429: 1850}
        positions = [each.json()["position"] for each in answers if each.status == 202]
        assert sorted(positions) == list(range(1, 51))


async def test_all_replicas_serve_a_session_and_bytes_are_summed(store: Path, server: RedisServer) -> None:
    async with replicas(store, server, 2) as stages:
        film = stages[0].store("film.mp4", DATA)
        session = (await start(stages[0], film)).json()
        for harness in stages:
            for _ in range(2):
                answer = await harness.call("GET", session["stream_url"], x_test_user="", range="bytes=0-999")
                assert answer.body == DATA[:1000]
        await asyncio.gather(*(harness.registry.renew() for harness in stages))
        assert [each["bytes_sent"] for each in await taken(stages[1])] == [4000]
        await stages[1].call("DELETE", f"{SESSIONS}/{session['session_id']}")
        await stages[0].registry.renew()
        for harness in stages:
            answer = await harness.call("GET", session["stream_url"], x_test_user="")
            assert (answer.status, answer.json()["error"]["details"]) == (404, {"reason": "stopped"})
        stopped = await events_of(stages, "stream.stopped")
        assert [(each.bytes_transferred, each.reason) for each in stopped] == [(4000, "stopped")]


async def test_a_downloader_with_connections_to_all_replicas_is_one_session(store: Path, server: RedisServer) -> None:
    async with replicas(store, server, REPLICAS, max_streams_per_user=1) as stages:
        film = stages[0].store("film.mp4", DATA)
        answers = await asyncio.gather(
            *(stages[n % REPLICAS].get(film, range=f"bytes={n}-", user_agent="aria2/1.36.0") for n in range(16))
        )
        assert {each.status for each in answers} == {206}
        assert len(await taken(stages[0])) == 1


async def test_a_start_is_one_question_to_redis_and_a_range_is_none(
    store: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    ask_redis = redis.RedisSlots._within_deadline

    async def counted(self: redis.RedisSlots, operation: Any) -> Any:
        # The relay asks twice a second, whatever is played.
        is_asked = any(kind in repr(operation) for kind in ("Script", "_evaluate_all"))
        if is_asked and redis._Script.PENDING not in _scripts(self, operation):
            asked.append(operation)
        return await ask_redis(self, operation)

    monkeypatch.setattr(redis.RedisSlots, "_within_deadline", counted)
    async with replicas(store, server, 1, session_idle_sec=600) as (harness,):
        film = harness.store("film.mp4", DATA)
        await start(harness, film)  # what is cold warms up
        await until(lambda: "stream.started" in harness.bus.types())
        asked.clear()
        catalog_asked = len(harness.catalog.asked)
        session = (await start(harness, film)).json()
        assert len(asked) == 1
        for n in range(5):
            answer = await harness.call("GET", session["stream_url"], x_test_user="", range=f"bytes={n}-{n}")
            assert answer.body == DATA[n : n + 1]
        await harness.call("POST", f"{SESSIONS}/{session['session_id']}/heartbeat")
        assert len(asked) == 1
        for n in range(5):
            await harness.get(film, range=f"bytes={n}-{n}", user_agent="curl/8")
        assert len(asked) == 2, "an implicit session is one question, too, and then none"
        assert len(harness.catalog.asked) == catalog_asked


def _scripts(slots: redis.RedisSlots, operation: Any) -> set[redis._Script]:
    return {name for name, script in slots._scripts.items() if script is operation.func}


async def events_of(stages: list[ServiceHarness], type_: str) -> list[Any]:
    """Return the events of a type that the replicas published, once there are any."""
    await asyncio.sleep(0)
    message = {"stream.stopped": stream_pb2.StreamStopped, "stream.started": stream_pb2.StreamStarted}[type_]

    def found() -> list[Any]:
        return [each.read(message) for harness in stages for each in harness.bus.published if each.type == type_]

    await until(found)
    return found()


@asynccontextmanager
async def another_process(store: Path, name: str, settings: dict[str, Any]) -> AsyncIterator[tuple[int, str, Any]]:
    """A replica in a process of its own: its port, the id of its film, and the process."""
    with tempfile.TemporaryDirectory(prefix="mq-") as sockets:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.stream.tests.integration.server_process"),
            *(str(store), sockets, name, json.dumps(settings)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            assert process.stdout is not None
            port, film = (await process.stdout.readline()).decode().split()
            yield int(port), film, process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def test_killed_replica_frees_its_slots_except_of_sessions_served_elsewhere(
    store: Path, server: RedisServer, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        (survivor,) = await stack.enter_async_context(
            replicas(store, server, 1, max_streams=20, stream_queue=0, ticket_key_file=tmp_path / "tickets.key")
        )
        film = survivor.sparse("film.mp4", 2**33)
        shared = {
            "redis_url": server.url,
            "ticket_key_file": str(tmp_path / "tickets.key"),
            "session_idle_sec": IDLE_SEC,
            "max_streams": 20,
            "stream_queue": 0,
        }
        port, doomed_film, process = await stack.enter_async_context(another_process(store, "film.mp4", shared))
        survivor.catalog.sources[doomed_film] = survivor.catalog.sources[film]
        survivor.catalog.sources[doomed_film].video_id = doomed_film
        sessions = []
        for number in range(20):
            async with connected(port) as line:
                body = json.dumps({"video_id": doomed_film}).encode()
                line.send("POST", SESSIONS, body, content_type="application/json", x_test_user=f"user-{number}")
                sessions.append((await line.answer()).json())
            playing = await stack.enter_async_context(connected(port, receive_buffer=65_536))
            playing.send("GET", sessions[-1]["stream_url"], x_test_user="")
            await playing.reader.readexactly(1_000_000)
        assert (await start(survivor, doomed_film, "late")).status == 429
        # A tick passes, so that what was sent is known to others.
        await until_sent(survivor, 1_000_000)
        process.kill()
        await process.wait()
        loop = asyncio.get_running_loop()
        killed_at = loop.time()
        moved = [await stack.enter_async_context(connected(survivor.port, receive_buffer=65_536)) for _ in range(5)]
        moving = [asyncio.create_task(play_on(line, each)) for line, each in zip(moved, sessions[:5], strict=True)]
        kept = {each["session_id"] for each in sessions[:5]}
        while {each["session_id"] for each in await taken(survivor)} != kept:
            assert loop.time() - killed_at < IDLE_SEC + 5
            await asyncio.sleep(0.05)
        stopped = await events_of([survivor], "stream.stopped")
        await until(lambda: len([each for each in survivor.bus.types() if each == "stream.stopped"]) == 15)
        stopped = await events_of([survivor], "stream.stopped")
        assert {each.session_id for each in stopped} == {each["session_id"] for each in sessions[5:]}
        assert {each.reason for each in stopped} == {"expired"}
        assert all(each.bytes_transferred >= 1_000_000 for each in stopped), "exact to the last flush"
        for number in range(15):
            assert (await start(survivor, doomed_film, f"newcomer-{number}")).status == 201
        assert (await start(survivor, doomed_film, "one too many")).status == 429
        assert not any(task.done() for task in moving), "who went on elsewhere notices nothing more"
        for task in moving:
            task.cancel()
        await asyncio.gather(*moving, return_exceptions=True)


async def until_sent(harness: ServiceHarness, count: int) -> None:
    """Wait until so many bytes are reported of each session."""
    async with asyncio.timeout(60):
        while min(each["bytes_sent"] for each in await taken(harness)) < count:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)


async def play_on(line: Any, session: dict[str, Any]) -> None:
    """Watches at leisure, for as long as bytes come."""
    line.send("GET", session["stream_url"], x_test_user="", range="bytes=1000000-")
    await line.head()
    while True:
        await line.reader.readexactly(50_000)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("fault", ["paused", "killed", "restarted", "emptied"])
async def test_redis_fault_keeps_playing_sessions_and_answers_newcomers(
    store: Path, server: RedisServer, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "DEADLINE_SEC", 0.4)
    async with replicas(store, server, 2, max_streams=4, stream_queue=0, max_streams_per_user=4) as stages:
        film = stages[0].sparse("film.mp4", 2**33)
        sessions = [(await start(stages[n % 2], film)).json() for n in range(3)]
        async with AsyncExitStack() as stack:
            watching = []
            for n, session in enumerate(sessions):
                line = await stack.enter_async_context(connected(stages[n % 2].port, receive_buffer=65_536))
                watching.append(asyncio.create_task(play_on(line, session)))
            match fault:
                case "paused":
                    server.pause()
                case "killed" | "restarted":
                    server.kill()
                case _:
                    async with Redis.from_url(server.url) as client:
                        await client.flushall()
            if fault == "restarted":
                server.start()
            else:
                refused = await start(stages[0], film)
                assert (refused.status, refused.code) == (503, "SERVICE_UNAVAILABLE")
                assert int(refused.headers["retry-after"]) > 0
                assert (await stages[1].get(film, user_agent="curl/8")).status == 503
            if fault in {"paused", "killed"}:
                await stages[0].service.health.run_checks()
                ready = await stages[0].call("GET", "/readyz", x_test_user="")
                assert (ready.status, ready.json()["checks"]["redis"]) == (200, False)
                await asyncio.sleep(IDLE_SEC * 1.3)  # longer than any lease
            # A viewer who moves to another replica meanwhile is served there, too.
            moved = await stages[0].call("GET", sessions[1]["stream_url"], x_test_user="", range="bytes=0-9")
            assert moved.status == 206
            if fault == "paused":
                server.resume()
            elif fault == "killed":
                server.start()
            async with asyncio.timeout(60):
                # A paused Redis first grants the slot to the request that was refused meanwhile; it is given back then.
                while (await start(stages[1], film)).status != 201:  # noqa: ASYNC110 - nothing tells when
                    await asyncio.sleep(0.05)
            assert (await start(stages[1], film)).status == 429, "one slot was free, and stays the only one"
            playing = {each["session_id"] for each in await taken(stages[0])}
            assert {each["session_id"] for each in sessions} < playing
            assert len(playing) == 4
            assert not any(task.done() for task in watching)
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)


async def test_stopped_replica_reports_last_bytes(store: Path, server: RedisServer) -> None:
    async with replicas(store, server, 1, session_idle_sec=600) as stages:
        (other,) = stages
        async with replicas(store, server, 1, session_idle_sec=600) as (leaving,):
            film = leaving.store("film.mp4", DATA)
            other.catalog.sources = leaving.catalog.sources
            session = (await start(leaving, film)).json()
            await leaving.call("GET", session["stream_url"], x_test_user="")
            await leaving.idle()
        (reported,) = await taken(other)
        assert reported["bytes_sent"] == len(DATA)


async def test_fetches_film_after_film_from_whichever_replica(store: Path, server: RedisServer) -> None:
    async with replicas(store, server, 2, max_streams_per_user=3, session_idle_sec=600) as stages:
        films = [stages[0].store(f"film-{number}.mp4", DATA) for number in range(7)]
        for film in films:
            for harness in stages:
                answer = await harness.get(film, user_agent="curl")
                assert (answer.status, answer.body) == (200, DATA)
        assert len(await taken(stages[0])) == 3


async def test_ticket_of_session_that_is_over_opens_nothing_anywhere(store: Path, server: RedisServer) -> None:
    async with replicas(store, server, 2) as stages:
        film = stages[0].store("film.mp4", DATA)
        session = (await start(stages[0], film)).json()
        assert (await stages[1].call("DELETE", f"{SESSIONS}/{session['session_id']}")).status == 204
        await stages[0].registry.renew()
        for harness in stages:
            for method, rest in (("GET", ""), ("HEAD", ""), ("GET", "/info")):
                async with connected(harness.port) as line:
                    path = f"/api/videos/{film}/stream{rest}?ticket={session['ticket']}"
                    assert (await line.ask(method, path, x_test_user="")).status == 404
