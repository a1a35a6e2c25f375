"""A film that many watch: counted, copied across a kill, played without the store, and gone when it is deleted."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kit.rpc import call, connect
from marquee.progress.v1 import progress_pb2
from marquee.progress.v1.progress_pb2_grpc import ProgressServiceStub
from tests.e2e.client import Client, make_film
from tests.stacks.base import Process, wait_for
from tests.stacks.embedded import EmbeddedStack
from tests.stacks.services import ServicesStack

VIEWS = 5
SLOW = {"MARQUEE_HOT_CACHE_COPY_BYTES_PER_SEC": str(2**16)}


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    return tmp_path / "hot"


def a_stack(folder: Path, hot: Path, **settings: str) -> EmbeddedStack:
    return EmbeddedStack(folder, {"MARQUEE_HOT_CACHE_DIR": str(hot), **settings})


def watch(viewer: Client, video_id: str) -> None:
    """Begins and ends a play session."""
    begun = viewer.http.post("/api/play-sessions", json={"video_id": video_id})
    assert begun.status_code == 201, begun.text
    ticket = {"ticket": begun.json()["ticket"]}
    first = viewer.http.get(f"/api/videos/{video_id}/stream", params=ticket, headers={"Range": "bytes=0-0"})
    assert first.status_code == 206
    assert viewer.http.delete(f"/api/play-sessions/{begun.json()['session_id']}").status_code == 204


def seen(viewer: Client, video_id: str) -> tuple[str, str, int]:
    """What a viewer gets of a film: its bytes, their tag, and how many."""
    answer = viewer.http.get(f"/api/videos/{video_id}/stream")
    assert answer.status_code == 200, answer.text
    return hashlib.sha256(answer.content).hexdigest(), answer.headers["ETag"], len(answer.content)


def source(viewer: Client, video_id: str) -> tuple[Any, Any]:
    info = viewer.http.get(f"/api/videos/{video_id}/stream/info").json()
    return info["source"], info["cache_hit"]


class HotServices(ServicesStack):
    """Five processes, of which stream has a hot cache."""

    def __init__(self, folder: Path, hot: Path) -> None:
        super().__init__(folder)
        self.hot = hot
        self.progress_address = ""

    def _process(self, name: str, port: int, addresses: dict[str, str], database: str | None) -> Process:
        self.progress_address = addresses["MARQUEE_PROGRESS_ADDRESS"]
        return super()._process(name, port, addresses | {"MARQUEE_HOT_CACHE_DIR": str(self.hot)}, database)


async def count_views(address: str, video_ids: list[str]) -> dict[str, int]:
    """Return the views of videos, as progress counts."""
    async with connect(address) as channel:
        asked = progress_pb2.GetViewsRequest(days=7, video_ids=video_ids)
        answer = await call(ProgressServiceStub(channel).GetViews, asked, deadline_sec=30)
    return {video.video_id: video.views for video in answer.videos}


def test_views_lead_to_hot_copies_over_real_servers(tmp_path: Path, hot: Path) -> None:
    film, cold = make_film(tmp_path / "film.mp4", 3), make_film(tmp_path / "cold.mp4", 3)
    with HotServices(tmp_path, hot) as stack:
        admin = Client(stack.base_url)
        video_id, other_id = admin.upload(film, "Film"), admin.upload(cold, "Cold")
        for each in (video_id, other_id):
            admin.await_status(each, "ready")
        watch(admin, other_id)
        for _ in range(VIEWS):
            watch(admin, video_id)
        wait_for(lambda: source(admin, video_id) == ("ssd", True), 60, "the copy")
        # In a thread: Playwright's loop, if a browser test came before, already runs in this one.
        with ThreadPoolExecutor(1) as thread:
            counted = thread.submit(asyncio.run, count_views(stack.progress_address, [video_id, other_id])).result()
        assert counted == {video_id: VIEWS, other_id: 1}
        assert source(admin, other_id) == ("nas", False)
        # A new title changes no byte: the copy stays good.
        edited = admin.http.patch(f"/api/videos/{video_id}", json={"title": "Another title"})
        assert edited.status_code == 200, edited.text
        assert source(admin, video_id) == ("ssd", True)


def parts(hot: Path) -> list[str]:
    return [path.name for path in hot.iterdir() if path.name.endswith((".part", ".trash"))]


def test_popular_film_is_copied_and_served(tmp_path: Path, hot: Path) -> None:
    film, cold = make_film(tmp_path / "film.mp4"), make_film(tmp_path / "cold.mp4", 3)
    with a_stack(tmp_path, hot, **SLOW) as stack:
        admin = Client(stack.base_url)
        video_id, other_id = admin.upload(film, "Film"), admin.upload(cold, "Cold")
        for each in (video_id, other_id):
            admin.await_status(each, "ready")
        before = seen(admin, video_id)
        assert source(admin, video_id) == ("nas", False)
        for _ in range(VIEWS - 1):
            watch(admin, video_id)
        watch(admin, other_id)
        watch(admin, video_id)
        wait_for(lambda: bool(parts(hot)), 60, "a copy in the making")
        stack.process.kill()
    assert parts(hot) != []

    with a_stack(tmp_path, hot) as stack:
        # An unfinished copy is not used, and is removed.
        assert parts(hot) == []
        admin = Client(stack.base_url)
        assert source(admin, video_id) == ("nas", False)
        assert seen(admin, video_id) == before
        wait_for(lambda: source(admin, video_id) == ("ssd", True), 60, "the copy")
        assert seen(admin, video_id) == before
        # One view is not enough.
        assert source(admin, other_id) == ("nas", False)

        away = stack.media.with_name("away")
        stack.media.rename(away)
        stack.media.mkdir()
        wait_for(lambda: source(admin, other_id) == (None, False), 60, "the store to be missed")
        assert seen(admin, video_id) == before
        refused = admin.http.get(f"/api/videos/{other_id}/stream")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "STREAM_FILE_UNAVAILABLE")
        # Catalog has prepared the mount point for uploads meanwhile.
        shutil.rmtree(stack.media)
        away.rename(stack.media)

        stack.process.kill()
        stack.start()
        admin = Client(stack.base_url)
        assert source(admin, video_id) == ("ssd", True)
        assert seen(admin, video_id) == before

        deleted = admin.http.delete(f"/api/videos/{video_id}")
        assert deleted.status_code == 204, deleted.text
        wait_for(lambda: not list(hot.glob("*.copy")), 60, "the copy of a deleted film to go")
