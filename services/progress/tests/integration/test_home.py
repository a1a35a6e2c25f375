"""Bookmarks, and what home pages are made of, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.errors import ApiError
from kit.ids import new_id
from kit.testing.databases import MigratedDatabases
from kit.testing.fakes import FakeBus, event_of
from kit.testing.plans import capture_selects, explain, scans
from kit.testing.queries import count_queries
from marquee.events.v1 import user_pb2, video_pb2
from services.progress.consumers import subscribe
from services.progress.domain import Report
from services.progress.models import View, ViewCount
from services.progress.service import Bookmarks, Homes, Recorder
from services.progress.tests.fakes import COLLEAGUE, MEMBER, FakeCatalog, a_view_log, make_video


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, sqlite_url: str, migrated: MigratedDatabases) -> Iterator[str]:
    if request.param == "sqlite":
        yield sqlite_url
        return
    with migrated.postgres(request.getfixturevalue("postgres_server")) as url:
        yield url


def people(count: int) -> Iterator[Caller]:
    """Members that nothing is known of yet."""
    return (Caller(user_id=new_id(), role="member", status="active") for _ in range(count))


async def watch(database: Database, catalog: FakeCatalog, viewer: Caller, *video_ids: str) -> None:
    """Log a session and a position of each video, one after another."""
    recorder = Recorder(database, catalog)
    for video_id in video_ids:
        await recorder.record(viewer, video_id, Report(40.0, 100.0))
        async with database.write() as transaction:
            row = View(
                session_id=new_id(),
                user_id=viewer.user_id,
                video_id=video_id,
                source="nas",
                started_at=datetime.now(UTC),
                begun=True,
            )
            transaction.session.add(row)


class TestBookmarks:
    async def test_are_listed_newest_first_and_those_of_one_video_by_position(
        self, database: Database, catalog: FakeCatalog
    ) -> None:
        bookmarks = Bookmarks(database, catalog)
        one, other = catalog.add(make_video()), catalog.add(make_video())
        late = await bookmarks.add(MEMBER, one.id, 50.0, "the river")
        early = await bookmarks.add(MEMBER, one.id, 5.0, "")
        elsewhere = await bookmarks.add(MEMBER, other.id, 1.0, "")
        await bookmarks.add(COLLEAGUE, one.id, 2.0, "not mine")
        places, total = await bookmarks.page(MEMBER, None, offset=0, limit=10)
        assert total == 3
        assert [place.bookmark.id for place in places] == [
            elsewhere.bookmark.id, early.bookmark.id, late.bookmark.id,
        ]  # fmt: skip
        places, total = await bookmarks.page(MEMBER, one.id, offset=0, limit=10)
        assert [(place.bookmark.position_sec, place.bookmark.note) for place in places] == [
            (5.0, ""),
            (50.0, "the river"),
        ]

    async def test_are_changed_and_removed_by_their_viewer_only(self, database: Database, catalog: FakeCatalog) -> None:
        bookmarks, video = Bookmarks(database, catalog), catalog.add(make_video())
        mark = (await bookmarks.add(MEMBER, video.id, 50.0, "old")).bookmark.id
        with pytest.raises(ApiError, match="CONTENT_NOT_FOUND"):
            await bookmarks.edit(COLLEAGUE, mark, note="stolen")
        await bookmarks.delete(COLLEAGUE, mark)
        changed = await bookmarks.edit(MEMBER, mark, note="new")
        assert (changed.bookmark.position_sec, changed.bookmark.note) == (50.0, "new")
        await bookmarks.delete(MEMBER, mark)
        assert (await bookmarks.page(MEMBER, None, offset=0, limit=10))[1] == 0

    async def test_of_a_video_that_is_not_visible_are_refused(self, database: Database, catalog: FakeCatalog) -> None:
        video = catalog.add(make_video(corporation_id=COLLEAGUE.corporation_id))
        bookmarks = Bookmarks(database, catalog)
        for video_id in (video.id, new_id()):
            with pytest.raises(ApiError, match="CONTENT_NOT_FOUND"):
                await bookmarks.add(MEMBER, video_id, 1.0, "")
        await bookmarks.add(COLLEAGUE, video.id, 1.0, "")
        moved = Caller(user_id=COLLEAGUE.user_id, role="member", status="active")
        ((place,), _) = await bookmarks.page(moved, None, offset=0, limit=10)
        assert place.video is None

    async def test_are_erased_with_their_viewer_and_their_video(self, database: Database, catalog: FakeCatalog) -> None:
        bookmarks, bus = Bookmarks(database, catalog), FakeBus()
        subscribe(bus, database, a_view_log(database))
        video, purged = catalog.add(make_video()), catalog.add(make_video())
        leaving, staying = people(2)
        for viewer in (leaving, staying):
            await bookmarks.add(viewer, video.id, 1.0, "a note")
        await bookmarks.add(staying, purged.id, 1.0, "")
        await bus.deliver(event_of("user.deleted", user_pb2.UserDeleted(user_id=leaving.user_id)))
        await bus.deliver(event_of("video.purged", video_pb2.VideoPurged(video_id=purged.id)))
        with pytest.raises(ApiError, match="AUTH_INVALID_TOKEN"):
            await bookmarks.add(leaving, video.id, 1.0, "late")
        async with database.read() as session:
            left = [tuple(row) for row in await session.execute(text("SELECT user_id, video_id FROM bookmarks"))]
        assert left == [(staying.user_id, video.id)]


class TestHomes:
    async def test_names_what_enough_viewers_have_watched_too(self, database: Database, catalog: FakeCatalog) -> None:
        seed, common, rare = (catalog.add(make_video()).id for _ in range(3))
        first, second, third = people(3)
        await watch(database, catalog, first, common, rare, seed)
        await watch(database, catalog, second, common, seed)
        assert await Homes(database, least=3).co_watched(seed) == []
        assert await Homes(database, least=2).co_watched(seed) == [common]
        await watch(database, catalog, third, rare, common, seed)
        assert await Homes(database, least=2).co_watched(seed) == [common, rare]

    async def test_answers_records_newest_first_and_sums_of_all_views(
        self, database: Database, catalog: FakeCatalog
    ) -> None:
        one, two = (catalog.add(make_video()).id for _ in range(2))
        (viewer,) = people(1)
        await watch(database, catalog, viewer, one, two)
        today = datetime.now(UTC).date()
        async with database.write() as transaction:
            for day, video_id, views in ((0, one, 2), (6, one, 2), (0, two, 3), (9, two, 90)):
                row = ViewCount(day=today - timedelta(days=day), video_id=video_id, views=views)
                transaction.session.add(row)
        homes = Homes(database, least=2)
        home = await homes.home(viewer.user_id)
        assert [record.video_id for record in home.watched] == [two, one]
        assert home.trending == [(one, 4), (two, 3)]
        with count_queries() as counted:
            await homes.home(viewer.user_id)
        # Records, and at most once in seconds what was watched beside the first of them.
        assert counted.count <= 2, counted.statements

    async def test_reads_no_big_table_whole(self, database: Database, catalog: FakeCatalog) -> None:
        (viewer,) = people(1)
        video = catalog.add(make_video())
        await watch(database, catalog, viewer, video.id)
        homes, bookmarks = Homes(database, least=2), Bookmarks(database, catalog)
        with capture_selects() as statements:
            await homes.home(viewer.user_id)
            await bookmarks.page(viewer, None, offset=0, limit=10)
            await bookmarks.page(viewer, video.id, offset=0, limit=10)
        assert len(statements) == 7
        for statement in statements:
            plan = await explain(database, statement)
            assert scans(plan, ("watch_progress", "view_log", "bookmarks")) == [], plan


async def test_sums_of_all_views_are_renewed_while_old_ones_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes, viewer, film = Homes(database, least=2), new_id(), new_id()
    assert (await homes.home(viewer)).trending == []
    monkeypatch.setattr("services.progress.service.home.RENEWED_SEC", 0.0)
    monkeypatch.setattr("services.progress.service.home.TRENDING_SEC", 600.0)
    async with database.write() as transaction:
        transaction.session.add(ViewCount(day=datetime.now(UTC).date(), video_id=film, views=3))
    assert (await homes.home(viewer)).trending == []
    assert homes._renewal is not None
    await homes._renewal
    assert (await homes.home(viewer)).trending == [(film, 3)]
    await homes.close()
