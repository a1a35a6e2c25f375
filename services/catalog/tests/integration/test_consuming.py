"""Reports of thumbnailer that are applied in groups: each once, a defective one alone, at a constant cost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from kit.testing.queries import count_queries
from services.catalog.models import Video
from services.catalog.service import Processing
from services.catalog.tests.support import Catalog


async def versions(catalog: Catalog) -> dict[str, int]:
    async with catalog.database.read() as session:
        return dict((await session.execute(select(Video.id, Video.version))).all())


async def test_reports_that_wait_are_applied_together_each_once(catalog: Catalog) -> None:
    videos = [await catalog.uploaded() for _ in range(8)]
    with count_queries() as few:
        await asyncio.gather(*(catalog.report_probed(each) for each in videos[:2]))
    with count_queries() as many:
        events = await asyncio.gather(*(catalog.report_probed(each) for each in videos[2:]))
    assert many.count == few.count
    assert {item["status"] for item in (await catalog.get("/api/videos"))["items"]} == {"ready"}
    before = await versions(catalog)
    await asyncio.gather(*(catalog.report_probed(each, event) for each, event in zip(videos[2:], events, strict=True)))
    assert await versions(catalog) == before


async def test_reports_of_one_video_in_a_group_follow_each_other(catalog: Catalog) -> None:
    video_id = await catalog.uploaded()
    before = (await versions(catalog))[video_id]
    await asyncio.gather(catalog.report_thumbnail(video_id), catalog.report_probed(video_id))
    assert (await versions(catalog))[video_id] == before + 2
    assert await catalog.event_types(2) == ["video.uploaded", "video.ready"]
    shown = await catalog.get(f"/api/videos/{video_id}")
    assert (shown["status"], bool(shown["thumbnail_url"])) == ("ready", True)


async def test_defective_report_fails_alone(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [await catalog.uploaded() for _ in range(3)]
    probed = Processing.probed

    async def poisoned(self: Processing, transaction: Any, report: Any, info: Any) -> Any:
        removed = await probed(self, transaction, report, info)
        if report.video.id == videos[1]:
            raise ArithmeticError
        return removed

    monkeypatch.setattr(Processing, "probed", poisoned)
    results = await asyncio.gather(*(catalog.report_probed(each) for each in videos), return_exceptions=True)
    assert [isinstance(each, ArithmeticError) for each in results] == [False, True, False]
    statuses = {item["id"]: item["status"] for item in (await catalog.get("/api/videos"))["items"]}
    assert [statuses[each] for each in videos] == ["ready", "processing", "ready"]
