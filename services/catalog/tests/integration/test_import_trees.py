"""Trees of films: what a scan takes, follows, hides and reports, and what a second one costs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kit.service import Role
from kit.settings import load
from kit.testing.fakes import FakeBus, HeaderAuthenticator
from services.catalog.__main__ import build
from services.catalog.service import import_files, import_tree
from services.catalog.service.scans import ScanSchedule
from services.catalog.settings import CatalogSettings
from services.catalog.tests.support import ADMIN, ANN, Catalog

SRT = "1\n00:00:01,000 --> 00:00:02,500\n안녕하세요\n"


class Nas(Catalog):
    """A running catalog with a folder of films."""

    folder: Path

    def film(self, path: str, content: bytes | None = None) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode() * 50 if content is None else content)
        return file

    async def scan(self, **options: Any) -> dict[str, Any]:
        """Scan to the end; return the job."""
        answer = await self.http.post("/api/imports/scans", json=options, headers=ADMIN)
        assert answer.status_code == 202, answer.text
        return await self.ended(answer.json()["id"])

    async def ended(self, job_id: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while (job := await self.get(f"/api/admin/jobs/{job_id}"))["status"] in {"queued", "running"}:  # noqa: ASYNC110 - another process may end it
                await asyncio.sleep(0.05)
        return dict(job)

    async def counts(self, **options: Any) -> dict[str, int]:
        job = await self.scan(**options)
        assert job["status"] == "finished", job
        return {name: count for name, count in job["counts"].items() if count}

    async def results(self, job_id: str, outcome: str) -> dict[str, str]:
        page = await self.get(f"/api/admin/jobs/{job_id}/results?outcome={outcome}&page_size=100")
        return {item["path"]: item["detail"] for item in page["items"]}

    async def videos(self) -> dict[str, dict[str, Any]]:
        page = await self.get("/api/videos?page_size=100")
        assert page["total"] == len(page["items"])
        return {item["title"]: item for item in page["items"]}

    async def processed(self, video_id: str) -> None:
        (self.media / "videos" / video_id).mkdir(parents=True, exist_ok=True)
        await self.report_probed(video_id)
        await self.report_thumbnail(video_id)


@pytest.fixture
async def nas(database_url: str, tmp_path: Path) -> AsyncIterator[Nas]:
    folder = tmp_path / "nas"
    folder.mkdir()
    settings = load(
        CatalogSettings,
        database_url=database_url,
        broker_url="local:",
        media_url=(tmp_path / "media").as_uri(),
        grpc_bind=f"unix:{tmp_path / 'grpc'}",
        auth_address=f"unix:{tmp_path / 'absent'}",
        import_dir=folder,
    )
    bus = FakeBus()
    service = build(settings, Role.SERVE, bus)
    service.app.state.authenticate = HeaderAuthenticator()
    await service.start()
    running = Nas(service, bus, settings)
    running.folder = folder
    yield running
    await running.http.aclose()
    await running.database.close()
    await service.stop(1)


async def test_a_tree_is_taken_once(nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_tree, "BATCH", 3)
    for number in range(8):
        nas.film(f"누아르/{number % 3}/film_{number}.mkv")
    for path in ("a.txt", ".hidden.mp4", "@eaDir/b.mp4", "누아르/.trash/c.mp4", "누아르/empty.mp4"):
        nas.film(path, b"" if "empty" in path else b"x")
    (nas.folder / "link.mp4").symlink_to(nas.folder / "누아르" / "0" / "film_0.mkv")
    job = await nas.scan()
    assert (job["status"], job["done"], job["counts"]["added"]) == ("finished", 9, 8)
    assert await nas.results(job["id"], "failed") == {"누아르/empty.mp4": "the file is empty"}
    assert set(await nas.videos()) == {f"film {number}" for number in range(8)}
    types = Counter(await nas.event_types(8))
    assert types == {"video.uploaded": 8}
    assert (await nas.acts(1))[0].action == "video.import_started"
    assert await nas.counts() == {"unchanged": 8, "failed": 1}
    assert len(await nas.videos()) == 8


async def test_renamed_replaced_missing_and_returned(nas: Nas) -> None:
    for name in ("moved", "edited", "lost", "kept"):
        nas.film(f"in/{name}.mp4")
    assert await nas.counts() == {"added": 4}
    before = await nas.videos()
    for video in before.values():
        await nas.processed(video["id"])

    (nas.folder / "a place").mkdir()
    (nas.folder / "in/moved.mp4").rename(nas.folder / "a place/other.mp4")
    nas.film("in/edited.mp4", b"other bytes")
    lost = (nas.folder / "in/lost.mp4").rename(nas.folder.parent / "away.mp4")
    job = await nas.scan()
    assert job["counts"] == {"renamed": 1, "replaced": 1, "missing": 1, "unchanged": 1}
    assert await nas.results(job["id"], "renamed") == {"a place/other.mp4": "in/moved.mp4"}
    after = await nas.videos()
    assert {title: video["id"] for title, video in after.items()} == {t: v["id"] for t, v in before.items()}
    assert {title: video["status"] for title, video in after.items()} == {
        "moved": "ready",
        "edited": "processing",
        "lost": "failed",
        "kept": "ready",
    }
    assert after["lost"]["failure_code"] == "SOURCE_MISSING"
    assert (await nas.get("/api/videos", ANN))["total"] == 2
    # A late report about the former bytes, and processing all again, leave it hidden.
    await nas.processed(after["lost"]["id"])
    assert (await nas.videos())["lost"]["status"] == "failed"
    await nas.processed(after["edited"]["id"])

    assert await nas.counts() == {"unchanged": 3}, "what is missing is reported once"
    lost.rename(nas.folder / "in/lost.mp4")
    assert await nas.counts() == {"unchanged": 3, "returned": 1}
    assert {video["status"] for video in (await nas.videos()).values()} == {"ready"}


async def test_a_renamed_folder_is_followed_and_a_copy_is_a_film(nas: Nas) -> None:
    for number in range(4):
        nas.film(f"old/deep/{number}.mp4")
    await nas.counts()
    before = {title: video["id"] for title, video in (await nas.videos()).items()}
    (nas.folder / "old").rename(nas.folder / "new")
    nas.film("copy.mp4", (nas.folder / "new/deep/0.mp4").read_bytes())
    counts = await nas.counts()
    assert counts == {"renamed": 4, "added": 1}
    after = {item["id"] for item in (await nas.get("/api/videos?page_size=100"))["items"]}
    assert set(before.values()) < after
    assert len(after) == 5


async def test_prune_and_rescan(nas: Nas) -> None:
    away = nas.film("a.mp4")
    nas.film("b.mp4")
    await nas.counts()
    for video in (await nas.videos()).values():
        await nas.processed(video["id"])
    away = away.rename(nas.folder.parent / "a.mp4")
    assert await nas.counts() == {"missing": 1, "unchanged": 1}
    assert await nas.counts(prune=True) == {"removed": 1, "unchanged": 1}
    assert set(await nas.videos()) == {"b"}
    assert [item["title"] for item in (await nas.get("/api/trash"))["items"]] == ["a"]
    away.rename(nas.folder / "a.mp4")
    assert await nas.counts() == {"returned": 1, "unchanged": 1}
    assert {title: video["status"] for title, video in (await nas.videos()).items()} == {"a": "ready", "b": "ready"}
    assert await nas.counts(rescan=True) == {"replaced": 2}
    assert {video["status"] for video in (await nas.videos()).values()} == {"processing"}


async def test_a_broken_file_is_one_failed_video(nas: Nas) -> None:
    nas.film("broken.mp4")
    await nas.counts()
    (video,) = (await nas.videos()).values()
    await nas.report_failed(video["id"])
    for _ in range(2):
        job = await nas.scan()
        assert await nas.results(job["id"], "failed") == {"broken.mp4": "there already, failed: This is a text."}
    answer = await nas.http.post("/api/imports", json={"location": "broken.mp4"}, headers=ADMIN)
    assert answer.status_code == 409
    assert answer.json()["error"]["message"] == "This file is there already, failed: This is a text."
    assert answer.json()["error"]["details"]["video_id"] == video["id"]
    assert len(await nas.videos()) == 1
    nas.film("broken.mp4", b"repaired")
    assert await nas.counts() == {"replaced": 1}
    await nas.processed(video["id"])
    assert (await nas.videos())["broken"]["status"] == "ready"


async def test_an_empty_or_unreadable_folder_hides_nothing(nas: Nas) -> None:
    file = nas.film("in/a.mp4")
    await nas.counts()
    hidden = (nas.folder / "in").rename(nas.folder.parent / "in")
    job = await nas.scan()
    assert job["status"] == "failed"
    assert "is the share mounted?" in job["error"]
    hidden.rename(nas.folder / "in")
    resumed = await nas.http.post(f"/api/admin/jobs/{job['id']}/resume", headers=ADMIN)
    assert resumed.json()["status"] == "queued"
    assert (await nas.ended(job["id"]))["counts"] == {"unchanged": 1}
    assert file.exists()
    for folder in ("no such", "../nas", "in/a.mp4"):
        answer = await nas.http.post("/api/imports/scans", json={"folder": folder}, headers=ADMIN)
        assert answer.status_code == 422, folder


async def test_sidecars_come_with_their_film(nas: Nas) -> None:
    nas.film("film.mp4")
    nas.film("film.ko.srt", SRT.encode("cp949"))
    nas.film("film.en.forced.srt", SRT.encode())
    nas.film("film.fr.srt", b"no subtitles")
    job = await nas.scan()
    assert job["counts"] == {"added": 1, "failed": 1, "unchanged": 0}
    (video,) = (await nas.videos()).values()
    path = f"/api/videos/{video['id']}/subtitles"
    items = (await nas.get(path))["items"]
    assert [(item["track"], item["source"], item["encoding"]) for item in items] == [
        ("en.forced", "sidecar", "utf-8"),
        ("ko", "sidecar", "cp949"),
    ]
    # A person's own stay, also when the file beside the film changes.
    own = await nas.http.put(f"{path}/ko?title=mine", content="WEBVTT\n\n00:01.000 --> 00:02.000\nx\n", headers=ADMIN)
    assert own.status_code == 200
    nas.film("film.ko.srt", SRT.replace("안녕", "잘 가").encode())
    (nas.folder / "film.en.forced.srt").unlink()
    assert await nas.counts() == {"unchanged": 1, "failed": 1}
    items = (await nas.get(path))["items"]
    assert [(item["track"], item["source"], item["title"]) for item in items] == [("ko", "uploaded", "mine")]
    assert len(list((nas.media / "videos" / video["id"] / "subtitles").iterdir())) == 1


async def test_a_film_imported_by_its_name_is_adopted(nas: Nas) -> None:
    nas.film("a.mp4")
    answer = await nas.http.post("/api/imports", json={"location": "a.mp4", "title": "Mine"}, headers=ADMIN)
    assert answer.status_code == 201
    assert await nas.counts() == {"unchanged": 1}
    (nas.folder / "a.mp4").rename(nas.folder / "b.mp4")
    assert await nas.counts() == {"renamed": 1}
    assert set(await nas.videos()) == {"Mine"}


async def test_a_stopped_scan_goes_on(nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_tree, "BATCH", 2)
    for number in range(20):
        nas.film(f"{number}.mp4")
    passed, original = asyncio.Event(), import_files.fingerprints
    loop = asyncio.get_running_loop()

    def slow(root: Path, paths: list[str]) -> dict[str, str | OSError]:
        if "6.mp4" in paths:
            asyncio.run_coroutine_threadsafe(passed.wait(), loop).result(60)
        return original(root, paths)

    monkeypatch.setattr(import_files, "fingerprints", slow)
    job = (await nas.http.post("/api/imports/scans", json={}, headers=ADMIN)).json()
    async with asyncio.timeout(60):
        while not await nas.videos():  # noqa: ASYNC110 - the scan is in the background
            await asyncio.sleep(0.05)
    stopped = await nas.http.post(f"/api/admin/jobs/{job['id']}/stop", headers=ADMIN)
    assert stopped.json()["status"] == "stopped"
    passed.set()
    await nas.http.post(f"/api/admin/jobs/{job['id']}/resume", headers=ADMIN)
    ended = await nas.ended(job["id"])
    assert (ended["status"], ended["counts"]["added"], ended["done"]) == ("finished", 20, 20)
    assert len(await nas.videos()) == 20


async def test_the_schedule_repeats_an_administrators_scan(nas: Nas) -> None:
    schedule = ScanSchedule(nas.database, timedelta(hours=1))
    later = datetime.now(UTC) + timedelta(hours=2)
    assert not await schedule.once(later), "there was none to repeat"
    nas.film("a.mp4")
    await nas.counts()
    assert not await schedule.once(datetime.now(UTC))
    assert await schedule.once(later)
    jobs = (await nas.get("/api/admin/jobs"))["items"]
    assert len(jobs) == 2
    assert (await nas.ended(jobs[0]["id"]))["status"] == "finished"
    assert (await nas.http.get("/api/admin/jobs", headers=ANN)).status_code == 403
