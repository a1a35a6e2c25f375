"""The whole service with a hot cache: what viewers see of it, also when the store is taken away."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc import aio
from structlog.testing import capture_logs

from kit.events.envelope import Event
from kit.ids import new_id
from kit.rpc import GrpcServer
from kit.settings import SettingsError
from kit.testing.fakes import event_of
from marquee.events.v1 import stream_pb2, video_pb2
from marquee.progress.v1 import progress_pb2, progress_pb2_grpc
from services.stream.hotcache import janitor, promoter, store
from services.stream.storage import open_files as files
from services.stream.tests.support import Answer, ServiceHarness, make_movie, running, until

FILM = os.urandom(700_000)


class FakeProgress(progress_pb2_grpc.ProgressServiceServicer):
    """Has counted as many views as the test sets."""

    def __init__(self) -> None:
        self.views: dict[str, int] = {}
        self.days: set[int] = set()

    def register(self, server: aio.Server) -> None:
        progress_pb2_grpc.add_ProgressServiceServicer_to_server(self, server)

    async def GetViews(  # noqa: N802
        self, request: progress_pb2.GetViewsRequest, context: aio.ServicerContext[Any, Any]
    ) -> progress_pb2.GetViewsResponse:
        del context
        self.days.add(request.days)
        found = {each: self.views[each] for each in request.video_ids if each in self.views}
        videos = [progress_pb2.VideoViews(video_id=each, views=views) for each, views in found.items()]
        return progress_pb2.GetViewsResponse(videos=videos)

    async def GetHome(  # noqa: N802
        self, request: progress_pb2.GetHomeRequest, context: aio.ServicerContext[Any, Any]
    ) -> progress_pb2.GetHomeResponse:
        raise NotImplementedError

    async def GetCoWatched(  # noqa: N802
        self, request: progress_pb2.GetCoWatchedRequest, context: aio.ServicerContext[Any, Any]
    ) -> progress_pb2.GetCoWatchedResponse:
        raise NotImplementedError


class HotCacheHarness:
    """The service, the store that it reads, the hot cache, and who counts views."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.root, self.hot = folder / "store", folder / "hot"
        self._sockets = sockets
        self._elsewhere = folder / "elsewhere"
        self.progress = FakeProgress()
        (self.root / "incoming").mkdir(parents=True)

    @asynccontextmanager
    async def open(self, **changed: Any) -> AsyncIterator[ServiceHarness]:
        address = f"unix:{self._sockets}/progress.sock"
        server = GrpcServer("progress", address, [self.progress.register])
        await server.start()
        settings: dict[str, Any] = {"hot_cache_dir": self.hot, "progress_address": address} | changed
        async with running(self.root, self._sockets, **settings) as harness:
            yield harness
        await server.stop(0)

    def pull(self) -> None:
        """Takes the store away: its mount point is an empty folder then."""
        self.root.rename(self._elsewhere)
        self.root.mkdir()

    def put_back(self) -> None:
        self.root.rmdir()
        self._elsewhere.rename(self.root)

    def names(self) -> set[str]:
        # What was raised while a file was looked into, and what waited for it, refer to one another.
        gc.collect()
        return {path.name for path in self.hot.iterdir()} - {"marquee-hot-cache.lock"}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (promoter, janitor):
        monkeypatch.setattr(module, "PASS_SEC", 0.02)
    monkeypatch.setattr(promoter, "SETTLE_SEC", 0)
    for module in (files, store):
        monkeypatch.setattr(module, "FRESH_SEC", 0)


@pytest.fixture
def theatre(tmp_path: Path, sockets: Path) -> HotCacheHarness:
    return HotCacheHarness(tmp_path, sockets)


async def info(harness: ServiceHarness, video_id: str) -> dict[str, Any]:
    answer = await harness.call("GET", f"/api/videos/{video_id}/stream/info")
    assert answer.status == 200
    info: dict[str, Any] = answer.json()
    return info


async def tier(harness: ServiceHarness, video_id: str) -> tuple[str | None, bool]:
    answer = await info(harness, video_id)
    return answer["source"], answer["cache_hit"]


async def promoted(theatre: HotCacheHarness, harness: ServiceHarness, video_id: str) -> None:
    """Waits until a film comes from its copy."""
    theatre.progress.views[video_id] = 5
    await harness.get(video_id, range="bytes=0-0")
    async with asyncio.timeout(60):
        while await tier(harness, video_id) != ("ssd", True):  # noqa: ASYNC110 - nothing tells when it happens
            await asyncio.sleep(0.01)


def compared(answer: Answer) -> tuple[object, ...]:
    names = ("etag", "last-modified", "content-length", "content-range", "content-type", "accept-ranges")
    return answer.status, answer.body, *(answer.headers.get(name) for name in names)


async def test_a_film_is_the_same_from_its_copy_and_plays_on_without_the_store(theatre: HotCacheHarness) -> None:
    async with theatre.open() as harness:
        film, cold = harness.store("film.mp4", FILM), harness.store("cold.mp4", b"cold film")
        ways: tuple[dict[str, str], ...] = (
            {},
            {"range": "bytes=1000-1999"},
            {"range": "bytes=-5"},
            {"range": "bytes=0-1,600000-"},
        )
        before = [compared(await harness.get(film, **way)) for way in ways[:3]]
        assert await tier(harness, film) == ("nas", False)
        await promoted(theatre, harness, film)
        assert theatre.progress.days == {7}
        assert [compared(await harness.get(film, **way)) for way in ways[:3]] == before
        several = await harness.get(film, **ways[3])
        assert (several.status, FILM[600_000:] in several.body) == (206, True)

        theatre.pull()
        assert [compared(await harness.get(film, **way)) for way in ways[:3]] == before
        resumed = await harness.get(film, range="bytes=1000-", if_range=str(before[0][2]))
        assert (resumed.status, resumed.body) == (206, FILM[1000:])
        unchanged = await harness.get(film, if_none_match=str(before[0][2]))
        assert unchanged.status == 304
        assert await tier(harness, film) == ("ssd", True)

        # A film without a copy is unavailable, and answered so; no other request waits for it.
        refused = await harness.get(cold)
        assert (refused.status, refused.code) == (503, "STREAM_FILE_UNAVAILABLE")
        await until(lambda: "stream.error" in harness.bus.types())
        (error,) = (each for each in harness.bus.published if each.type == "stream.error")
        message = error.read(stream_pb2.StreamError)
        assert (message.video_id, message.error_code) == (cold, "STREAM_FILE_UNAVAILABLE")
        assert await tier(harness, cold) == (None, False)
        ready = await harness.call("GET", "/readyz")
        assert ready.status == 200

        metrics = (await harness.call("GET", "/metrics")).body.decode()
        metric = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line.startswith("stream_"))
        assert float(metric['stream_hot_cache_requests_total{result="hit"}']) > 0
        assert float(metric["stream_hot_cache_promoted_total"]) > 0
        assert float(metric["stream_hot_cache_bytes"]) == len(FILM)
        assert float(metric["stream_hot_cache_budget_bytes"]) == 64 * 2**30

        theatre.put_back()
        assert (await harness.get(cold)).body == b"cold film"
        assert [compared(await harness.get(film, **way)) for way in ways[:3]] == before
        started = {
            each.read(stream_pb2.StreamStarted).source for each in harness.bus.published if "started" in each.type
        }
        assert started == {"nas"}


@pytest.mark.parametrize("start", ["0", "1.5"])
async def test_a_film_that_begins_elsewhere_is_the_same_from_the_copy(theatre: HotCacheHarness, start: str) -> None:
    async with theatre.open() as harness:
        film = harness.add(await make_movie(theatre.root / "film.mp4"))
        path = f"/api/videos/{film}/stream?start={start}"
        before = compared(await harness.call("GET", path))
        await promoted(theatre, harness, film)
        theatre.pull()
        assert compared(await harness.call("GET", path)) == before


async def test_copies_are_there_after_a_restart_while_the_store_is_away(theatre: HotCacheHarness) -> None:
    async with theatre.open() as harness:
        film = harness.store("film.mp4", FILM)
        before = compared(await harness.get(film))
        await promoted(theatre, harness, film)
        sources = harness.catalog.sources
    theatre.pull()
    async with theatre.open() as harness:
        harness.catalog.sources = sources
        assert compared(await harness.get(film)) == before
        await until(lambda: "stream.started" in harness.bus.types())
        (started,) = (each for each in harness.bus.published if each.type == "stream.started")
        assert started.read(stream_pb2.StreamStarted).source == "ssd"


@pytest.mark.parametrize("message", [video_pb2.VideoPurged, video_pb2.VideoDeleted])
async def test_a_deleted_film_has_no_copy(
    theatre: HotCacheHarness, message: type[video_pb2.VideoPurged | video_pb2.VideoDeleted]
) -> None:
    async with theatre.open() as harness:
        film = harness.store("film.mp4", FILM)
        await promoted(theatre, harness, film)
        del harness.catalog.sources[film]
        await harness.bus.deliver(Event.of(message(video_id=film), source="catalog", subject=film))
        assert (await harness.get(film)).status == 404
        await until(lambda: not theatre.names())


async def test_a_film_that_is_protected_has_no_plain_copy(theatre: HotCacheHarness) -> None:
    async with theatre.open() as harness:
        film = harness.store("film.mp4", FILM)
        await promoted(theatre, harness, film)
        event = event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film)
        await harness.bus.deliver(event)
        assert theatre.names()
        (theatre.root / "film.lsv").write_bytes(FILM[::-1])
        source = harness.catalog.sources[film]
        source.asset_id, source.asset_kind, source.reference = new_id(), "lsv", "film.lsv"
        await harness.bus.deliver(event)
        await until(lambda: not theatre.names())
        assert (await harness.get(film)).status == 403
        assert (await harness.call("GET", f"/api/videos/{film}/lsv")).body == FILM[::-1]


async def test_a_new_version_is_served_at_once(theatre: HotCacheHarness) -> None:
    async with theatre.open() as harness:
        film = harness.store("film.mp4", FILM)
        before = await harness.get(film)
        await promoted(theatre, harness, film)
        (theatre.root / "film.mp4").write_bytes(b"another film")
        harness.catalog.sources[film].version = 2
        await harness.bus.deliver(event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film))
        after = await harness.get(film)
        assert (after.status, after.body) == (200, b"another film")
        assert after.headers["etag"] != before.headers["etag"]
        await promoted(theatre, harness, film)
        assert (await harness.get(film)).body == b"another film"


async def test_who_is_watching_keeps_a_copy_from_being_evicted(theatre: HotCacheHarness) -> None:
    with capture_logs() as logs:
        async with theatre.open(hot_cache_bytes=2**20) as harness:
            film, other = harness.store("film.mp4", FILM), harness.store("other.mp4", FILM)
            await promoted(theatre, harness, film)
            theatre.progress.views[other] = 9
            await harness.get(other, range="bytes=0-0")
            await until(lambda: any(each["event"] == "hot_cache_not_promoted" for each in logs))
            assert await tier(harness, other) == ("nas", False)
            assert await tier(harness, film) == ("ssd", True)
    assert [each["event"] for each in logs if "hot_cache" in each["event"]] == [
        "hot_cache_promoted",
        "hot_cache_not_promoted",
    ]


async def test_a_folder_that_can_not_be_used_stops_the_start(theatre: HotCacheHarness) -> None:
    theatre.hot.write_text("no folder")
    with pytest.raises(SettingsError, match="MARQUEE_HOT_CACHE_DIR can't be used"):
        async with theatre.open():
            pass
