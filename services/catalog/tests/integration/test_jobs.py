"""Bulk jobs: processing all videos again, in batches, stopped and continued."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from kit.audit import Admin
from kit.db.database import Database
from kit.db.failures import DatabaseUnavailableError
from kit.errors import ErrorCode
from kit.testing.fakes import as_user
from marquee.events.v1 import video_pb2
from services.catalog.domain import JobKind, JobStatus
from services.catalog.models import JobRecord
from services.catalog.service import reprocessing
from services.catalog.service.jobs import JobFailedError, JobHandle, JobRunner, Jobs
from services.catalog.tests.support import ADMIN, Catalog

REQUESTED = "video.process_requested"


async def ended(catalog: Catalog, job_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (job := await catalog.get(f"/api/admin/jobs/{job_id}"))["status"] in {"queued", "running"}:  # noqa: ASYNC110 - in the background
            await asyncio.sleep(0.05)
    return dict(job)


async def requested(catalog: Catalog, count: int) -> list[video_pb2.VideoProcessRequested]:
    """What was requested, once there are so many."""
    async with asyncio.timeout(60):
        while catalog.bus.types().count(REQUESTED) < count:
            await catalog.bus.something_published()
    events = [event for event in catalog.bus.published if event.type == REQUESTED]
    return [event.read(video_pb2.VideoProcessRequested) for event in events]


async def test_all_videos_are_requested_once_in_batches(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reprocessing, "BATCH", 2)
    ids = {await catalog.uploaded(title=str(number)) for number in range(5)}
    answer = await catalog.http.post("/api/videos/process?kind=thumbnail&kind=posters&kind=thumbnail", headers=ADMIN)
    assert answer.status_code == 202
    job = answer.json()
    assert (job["requested"], job["total"], job["kind"]) == (5, 5, "reprocess")
    finished = await ended(catalog, job["id"])
    assert (finished["status"], finished["done"]) == ("finished", 5)
    messages = await requested(catalog, 5)
    assert Counter(message.video_id for message in messages) == dict.fromkeys(ids, 1)
    assert {tuple(message.kinds) for message in messages} == {("thumbnail", "posters")}
    assert (await catalog.http.post("/api/videos/process?kind=music", headers=ADMIN)).status_code == 422
    assert (await catalog.get("/api/admin/jobs"))["items"][0]["id"] == job["id"]


async def test_job_whose_database_is_away_goes_on_later(database_url: str) -> None:
    database = Database(database_url)
    job = await Jobs(database).start(JobKind.REPROCESS, {}, Admin("root"), "video.process_requested")
    is_away = True

    async def work(handle: JobHandle) -> None:
        if is_away:
            raise DatabaseUnavailableError(ErrorCode.SERVICE_UNAVAILABLE, "refused")
        async with handle.step() as step:
            step.finish()

    runner = JobRunner(database, JobKind.REPROCESS, work)
    with pytest.raises(DatabaseUnavailableError):
        await runner.once()
    assert (await Jobs(database).get(job.id)).status == JobStatus.RUNNING
    is_away = False
    async with database.write() as transaction:
        await transaction.session.execute(update(JobRecord).values(lease_until=datetime.now(UTC)))
    assert await JobRunner(database, JobKind.REPROCESS, work).once()
    assert (await Jobs(database).get(job.id)).status == JobStatus.FINISHED
    await database.close()


async def test_a_job_goes_on_where_a_stopped_process_left_it(database_url: str) -> None:
    database = Database(database_url)
    job = await Jobs(database).start(JobKind.REPROCESS, {}, Admin("root"), "video.process_requested")
    begun, cursors = asyncio.Event(), list[str]()

    async def work(handle: JobHandle) -> None:
        async with handle.step() as step:
            cursors.append(step.record.cursor)
            step.record.cursor += "x"
            if len(cursors) == 2:
                step.finish()
                return
        begun.set()
        await asyncio.Event().wait()

    first = asyncio.create_task(JobRunner(database, JobKind.REPROCESS, work).once())
    await asyncio.wait_for(begun.wait(), 60)
    second = JobRunner(database, JobKind.REPROCESS, work)
    assert not await second.once(), "the first holds it"
    first.cancel()
    await asyncio.wait({first})
    assert await second.once()
    assert cursors == ["", "x"]
    assert (await Jobs(database).get(job.id)).status == JobStatus.FINISHED
    assert not await second.once()
    await database.close()


async def test_a_stopped_job_writes_nothing_more(database_url: str) -> None:
    database, jobs = Database(database_url), Jobs(Database(database_url))
    job = await jobs.start(JobKind.REPROCESS, {}, Admin("root"), "video.process_requested")

    async def work(handle: JobHandle) -> None:
        await jobs.stop(handle.id)
        async with handle.step() as step:
            step.record.done += 1

    assert await JobRunner(database, JobKind.REPROCESS, work).once()
    stopped = await jobs.get(job.id)
    assert (stopped.status, stopped.done) == (JobStatus.STOPPED, 0)

    async def failing(handle: JobHandle) -> None:
        raise JobFailedError("no share")

    await jobs.resume(job.id)
    assert await JobRunner(database, JobKind.REPROCESS, failing).once()
    failed = await jobs.get(job.id)
    assert (failed.status, failed.error) == (JobStatus.FAILED, "no share")
    await database.close()


async def test_who_stops_a_job(catalog: Catalog) -> None:
    jobs = Jobs(catalog.database)
    await catalog.uploaded()
    job = (await catalog.http.post("/api/videos/process", headers=ADMIN)).json()
    path = f"/api/admin/jobs/{job['id']}"
    assert (await catalog.http.post(f"{path}/stop", headers=as_user("ann"))).status_code == 403
    await ended(catalog, job["id"])
    assert (await jobs.stop(job["id"])).status == JobStatus.FINISHED, "what has ended stays as it is"
    assert (await catalog.http.post(f"{path}/resume", headers=ADMIN)).json()["status"] == "finished"
    for unknown in ("no-id", "00000000-0000-7000-8000-000000000000"):
        assert (await catalog.http.get(f"/api/admin/jobs/{unknown}", headers=ADMIN)).status_code == 404
