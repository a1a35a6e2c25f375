"""The home page and recommendations over HTTP, on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from kit.ids import new_id
from kit.testing.fakes import as_user, event_of
from kit.testing.plans import capture_selects, explain, scans
from kit.testing.queries import count_queries
from marquee.events.v1 import video_pb2
from services.catalog.domain import Reach
from services.catalog.home.repository import HomeRepository
from services.catalog.home.service import ROW_LENGTH
from services.catalog.models import Video, VideoTag
from services.catalog.service import cards
from services.catalog.tests.integration.test_series import change, episode, make_series
from services.catalog.tests.support import ADMIN, Catalog
from services.catalog.tests.watching import FakeProgress, serve_progress

CORPORATION = new_id()
ANN_ID, BEA_ID = new_id(), new_id()
ANN = as_user(ANN_ID)
BEA = as_user(BEA_ID, "member", CORPORATION)


@pytest.fixture(autouse=True)
def kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards outlast a test on a slow machine: its statements can be counted."""
    monkeypatch.setattr(cards, "_KEPT_SEC", 3600.0)


@pytest.fixture
async def progress(tmp_path: Path) -> AsyncIterator[FakeProgress]:
    async with serve_progress(tmp_path) as servicer:
        yield servicer


async def rows(catalog: Catalog, headers: dict[str, str] = ANN) -> dict[str, Any]:
    """Return the rows by kind and key, read anew."""
    await notice(catalog)
    body = await catalog.get("/api/home", headers)
    assert all(row["items"] for row in body["rows"])
    return {f"{row['kind']} {row['key']}".strip(): row for row in body["rows"]}


async def notice(catalog: Catalog) -> None:
    """Deliver an event as the bus does after a change."""
    video_id = new_id()
    await catalog.bus.deliver(event_of("video.updated", video_pb2.VideoUpdated(video_id=video_id), subject=video_id))


def ids(row: dict[str, Any]) -> list[str]:
    return [item["id"] for item in row["items"]]


@pytest.mark.usefixtures("progress")
async def test_an_empty_library_has_no_rows(catalog: Catalog) -> None:
    assert await rows(catalog) == {}


async def test_rows_come_in_their_order_with_what_the_viewer_watched(catalog: Catalog, progress: FakeProgress) -> None:
    series_id = await make_series(catalog, title="The tour")
    first, second, third = [await episode(catalog, series_id, 1, number) for number in (1, 2, 3)]
    begun = await catalog.ready(title="Begun", tags="poker, final")
    alike, popular = await catalog.ready(tags="poker, final"), await catalog.ready(tags="poker")
    mine = await catalog.ready(corporation_id=CORPORATION)
    progress.watched[BEA_ID] = [(begun, False), (first, True)]
    progress.trending = [popular, new_id(), first]
    progress.co_watched[begun] = [second]
    found = await rows(catalog, BEA)
    assert list(found) == [
        "continue_watching", "next_episode", "new", "trending", f"because_you_watched {begun}",
        "tag poker", "tag final", f"series {series_id}", "corporation",
    ]  # fmt: skip
    assert ids(found["continue_watching"]) == [begun]
    item = found["continue_watching"]["items"][0]
    assert (item["position_sec"], item["progress_percent"], item["completed"]) == (5, 40, False)
    assert ids(found["next_episode"]) == [second]
    assert ids(found["new"]) == [mine, popular, alike, begun, third, second, first]
    assert ids(found["trending"]) == [popular, first]
    because = found[f"because_you_watched {begun}"]
    assert (ids(because), because["label"], because["title"]) == (
        [second, alike, popular],
        "Begun",
        "Because you watched Begun",
    )
    assert ids(found["tag final"]) == [alike, begun]
    assert (ids(found[f"series {series_id}"]), found[f"series {series_id}"]["title"]) == (
        [first, second, third],
        "The tour",
    )
    assert ids(found["corporation"]) == [mine]
    assert progress.calls == ["GetHome"]


async def test_titles_follow_the_language(catalog: Catalog, progress: FakeProgress) -> None:
    progress.trending = [await catalog.ready()]
    body = await catalog.get("/api/home", {**ANN, "Accept-Language": "ko-KR,ko;q=0.9"})
    assert [row["title"] for row in body["rows"]] == ["새로 올라온 영상", "이번 주 인기 영상"]


async def test_without_progress_the_other_rows_are_there(catalog: Catalog) -> None:
    video_id = await catalog.ready()
    assert {kind: ids(row) for kind, row in (await rows(catalog)).items()} == {"new": [video_id]}
    body = await catalog.get(f"/api/videos/{video_id}/recommendations", ANN)
    assert body == {"items": []}


async def test_kept_rows_never_show_what_is_no_longer_visible(catalog: Catalog, progress: FakeProgress) -> None:
    """Rows are kept for seconds, but rights count at once."""
    video_id = await catalog.ready()
    progress.trending = [video_id]
    progress.watched[ANN_ID] = [(video_id, False)]
    assert set(await rows(catalog)) == {"continue_watching", "new", "trending"}
    await catalog.http.delete(f"/api/videos/{video_id}", headers=ADMIN)
    assert (await catalog.get("/api/home", ANN))["rows"] == []
    await catalog.http.post(f"/api/videos/{video_id}/restore", headers=ADMIN)
    assert set(await rows(catalog)) == {"continue_watching", "new", "trending"}
    assert await change(catalog, video_id, corporation_id=None, title="Still the platform's") == 200
    processing = await catalog.uploaded()
    assert ids((await rows(catalog, ADMIN))["new"]) == [video_id]
    assert processing not in ids((await rows(catalog, ADMIN))["new"])


@pytest.mark.usefixtures("progress")
async def test_an_event_drops_what_is_kept(catalog: Catalog) -> None:
    first = await catalog.ready()
    assert ids((await rows(catalog))["new"]) == [first]
    second = await catalog.ready()
    assert ids((await rows(catalog))["new"]) == [second, first]


async def test_rows_are_paged(catalog: Catalog, progress: FakeProgress) -> None:
    made = [await catalog.ready(tags="poker") for _ in range(ROW_LENGTH + 3)]
    progress.trending = made
    found = await rows(catalog)
    for kind, expected in (("new", made[::-1]), ("tag poker", made[::-1]), ("trending", made)):
        assert ids(found[kind]) == expected[:ROW_LENGTH]
        page = await catalog.get(found[kind]["next"], ANN)
        assert (ids(page), page["next"]) == (expected[ROW_LENGTH:], None)
    for nonsense in ("x", "-1", "99999999999999999999", "٣"):
        await catalog.get(f"/api/home/rows/trending?after={nonsense}", ANN)
        await catalog.get(f"/api/home/rows/series?key={nonsense}&after={nonsense}", ANN)
    assert (await catalog.http.get("/api/home/rows/worst", headers=ANN)).status_code == 422


async def test_recommendations_give_their_reasons(catalog: Catalog, progress: FakeProgress) -> None:
    series_id = await make_series(catalog)
    before, seed, after = [await episode(catalog, series_id, 1, number, tags="poker") for number in (1, 2, 3)]
    together = await catalog.ready()
    alike, hidden = await catalog.ready(tags="poker"), await catalog.ready(tags="poker", corporation_id=CORPORATION)
    progress.co_watched[seed] = [hidden, together]
    body = await catalog.get(f"/api/videos/{seed}/recommendations", ANN)
    assert [(item["id"], item["reason"]) for item in body["items"]] == [
        (after, "same_series"),
        (together, "co_watched"),
        (alike, "shared_tags"),
        (before, "shared_tags"),
    ]
    missing = await catalog.http.get(f"/api/videos/{hidden}/recommendations", headers=ANN)
    assert missing.status_code == 404


async def test_takes_the_same_statements_for_any_number_of_films_and_scans_nothing(
    catalog: Catalog, progress: FakeProgress
) -> None:
    series_id = await make_series(catalog)
    counts = []
    for number in range(1, 4):
        video_id = await episode(catalog, series_id, 1, number, tags="poker")
        other = await catalog.ready(tags="poker", corporation_id=CORPORATION)
        progress.trending = [video_id, *progress.trending]
        progress.watched[BEA_ID] = [(video_id, True), *progress.watched.get(BEA_ID, [])]
        progress.co_watched[video_id] = [other]
        with count_queries() as counted, capture_selects() as statements:
            await rows(catalog, BEA)
            await catalog.get(f"/api/videos/{video_id}/recommendations", BEA)
        counts.append(counted.count)
    assert len(set(counts)) == 1, counts
    for headers in (ANN, ADMIN):
        with capture_selects() as more:
            await rows(catalog, headers)
        statements += more
    for statement in statements:
        plan = await explain(catalog.database, statement)
        assert scans(plan, ("videos", "video_tags", "artworks", "series")) == [], (statement[0], plan)
        # Only the newest films are read by their status, in the order of the index.
        assert "LIMIT" in statement[0] or not any("ix_videos_status" in line for line in plan), (statement[0], plan)


async def test_reads_newest_of_a_tag_without_all_films_of_a_big_library(catalog: Catalog) -> None:
    now, count = datetime.now(UTC), 3000
    films = [
        {
            "id": new_id(), "title": f"film {number}", "search_key": "", "description": "", "tags": ["one"],
            "status": "ready", "uploader_id": "bob", "corporation_id": CORPORATION if number % 4 == 0 else None,
            "mime_type": "video/mp4", "created_at": now, "updated_at": now, "version": 1,
        }
        for number in range(count)
    ]  # fmt: skip
    async with catalog.database.write() as transaction:
        await transaction.session.execute(insert(Video), films)
        await transaction.session.execute(insert(VideoTag), [{"tag": "one", "video_id": each["id"]} for each in films])
    async with catalog.database.engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("ANALYZE"))
    with capture_selects() as statements:
        async with catalog.database.read() as session:
            repository = HomeRepository(session, Reach(is_admin=False, corporation_id=CORPORATION))
            assert len(await repository.by_tag("one", 21)) == 21
            assert len(await repository.alike(str(films[0]["id"]), 60)) == 60
    for statement in statements:
        plan = await explain(catalog.database, statement, by_statistics=True)
        assert scans(plan, ("videos",)) == [], (statement[0], plan)
