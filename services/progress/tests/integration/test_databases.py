"""What must hold on every database: one contract, run on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.errors import ApiError
from kit.events import outbox
from kit.events.envelope import Event
from kit.ids import new_id
from kit.testing.databases import MigratedDatabases
from kit.testing.fakes import FakeBus, event_of
from kit.testing.queries import count_queries
from kit.testing.schema import schema_differences
from kit.testing.servers import PostgresServer
from marquee.events.v1 import stream_pb2, user_pb2
from services.progress.__main__ import MIGRATIONS
from services.progress.consumers import subscribe
from services.progress.domain import Progress, Report, Video, ViewFilter
from services.progress.models import Base, WatchProgress
from services.progress.repository import ViewCountRepository
from services.progress.service import History, Points, Recorder, Views
from services.progress.tests.fakes import (
    COLLEAGUE,
    MEMBER,
    FakeAccounts,
    FakeCatalog,
    a_view_log,
    make_video,
    now_ms,
    session_at,
)

WRITERS = 50


class MeetingCatalog(FakeCatalog):
    """Delays all answers until a number of callers wait, so that all of them have found no record."""

    def __init__(self, parties: int, *videos: Video) -> None:
        super().__init__(*videos)
        self._meeting = asyncio.Barrier(parties)

    async def videos(self, ids: Sequence[str]) -> dict[str, Video]:
        """Return several videos."""
        await self._meeting.wait()
        return await super().videos(ids)


def selects(statements: list[str]) -> list[str]:
    """What is asked of the database among these."""
    return [statement for statement in statements if statement.startswith("SELECT")]


async def recorded_events(database: Database) -> list[Row[Any]]:
    """The events in the outbox, oldest first."""
    async with database.read() as session:
        return list(await session.execute(select(outbox.outbox).order_by(outbox.outbox.c.id)))


async def stored(database: Database, video_id: str) -> WatchProgress:
    """The member's record."""
    record = await History(database, FakeCatalog()).record(MEMBER.user_id, video_id)
    assert record is not None
    return record


def started(video_id: str, moment: datetime, user_id: str | None = None) -> Event:
    """A play session of a video that began at a moment."""
    message = stream_pb2.StreamStarted(
        session_id=new_id(), user_id=user_id or new_id(), video_id=video_id, source="nas"
    )
    message.timestamp.FromDatetime(moment)
    return event_of("stream.started", message, subject=message.session_id)


class DatabaseContract:
    """What a database must do for progress."""

    @pytest.fixture
    def recorder(self, database: Database, catalog: FakeCatalog) -> Recorder:
        return Recorder(database, catalog)

    @pytest.fixture
    def history(self, database: Database, catalog: FakeCatalog) -> History:
        return History(database, catalog)

    @pytest.fixture
    def video_id(self, catalog: FakeCatalog) -> str:
        return catalog.add(make_video()).id

    async def test_record_is_stored_and_read_back(self, recorder: Recorder, database: Database, video_id: str) -> None:
        session_id = session_at(now_ms())
        taken = await recorder.record(MEMBER, video_id, Report(0.1, 99.5, session_id, 2**63 - 1))
        record = await stored(database, video_id)
        assert record.progress == taken
        assert (record.position_sec, record.duration_sec, record.seq) == (0.1, 99.5, 2**63 - 1)
        assert record.updated_at.utcoffset() is not None
        assert record.version == 1

    async def test_late_report_leaves_row_unchanged(
        self, recorder: Recorder, database: Database, video_id: str
    ) -> None:
        session_id = session_at(now_ms())
        await recorder.record(MEMBER, video_id, Report(50.0, 100.0, session_id, 5))
        before = await stored(database, video_id)
        late = await recorder.record(MEMBER, video_id, Report(10.0, 100.0, session_id, 4))
        after = await stored(database, video_id)
        assert late == before.progress
        assert (after.progress, after.updated_at, after.version) == (before.progress, before.updated_at, 1)

    async def test_concurrent_reports_are_not_lost(self, recorder: Recorder, database: Database, video_id: str) -> None:
        reports = [Report(float(n), 100.0) for n in range(WRITERS)]
        taken = await asyncio.gather(*(recorder.record(MEMBER, video_id, report) for report in reports))
        assert sorted(each.position_sec for each in taken if each) == [report.position_sec for report in reports]
        assert (await stored(database, video_id)).version == WRITERS

    async def test_concurrent_first_reports_make_one_record(self, database: Database) -> None:
        video = make_video()
        recorder = Recorder(database, MeetingCatalog(WRITERS, video))
        async with asyncio.timeout(60):
            taken = await asyncio.gather(
                *(recorder.record(MEMBER, video.id, Report(float(n), 100.0)) for n in range(WRITERS))
            )
        assert sorted(each.position_sec for each in taken if each) == [float(n) for n in range(WRITERS)]
        assert (await stored(database, video.id)).version == WRITERS

    async def test_newest_session_wins_among_concurrent_reports(
        self, recorder: Recorder, database: Database, video_id: str
    ) -> None:
        start = now_ms()
        reports = [
            Report(float(seq), 100.0, session_at(start - age * 1000), seq) for age in range(5) for seq in range(10)
        ]
        Random(7).shuffle(reports)
        assert len(reports) == WRITERS
        await asyncio.gather(*(recorder.record(MEMBER, video_id, report) for report in reports))
        progress = (await stored(database, video_id)).progress
        assert (progress.session_id, progress.seq, progress.position_sec) == (session_at(start), 9, 9.0)

    async def test_concurrent_completions_emit_one_event(
        self, recorder: Recorder, database: Database, video_id: str
    ) -> None:
        await asyncio.gather(*(recorder.record(MEMBER, video_id, Report(99.0, 100.0)) for _ in range(WRITERS)))
        assert [row.type for row in await recorded_events(database)] == ["progress.completed"]

    async def test_concurrent_reports_and_erasures_cause_no_deadlock(
        self, recorder: Recorder, history: History, video_id: str
    ) -> None:
        async def both() -> Progress | None:
            await history.erase(MEMBER.user_id, video_id)
            return await recorder.record(MEMBER, video_id, Report(5.0, 100.0))

        assert all(await asyncio.gather(*(both() for _ in range(WRITERS))))

    async def test_each_completion_emits_an_event(self, recorder: Recorder, database: Database, video_id: str) -> None:
        for position in (10.0, 96.0, 99.0, 50.0, 97.0):
            await recorder.record(MEMBER, video_id, Report(position, 100.0))
        rows = await recorded_events(database)
        assert [(row.type, row.source, row.version) for row in rows] == [
            ("progress.completed", "progress", 2),
            ("progress.completed", "progress", 5),
        ]
        assert {row.subject for row in rows} == {f"{MEMBER.user_id}:{video_id}"}
        assert json.loads(rows[0].body) == {"user_id": MEMBER.user_id, "video_id": video_id, "duration_sec": 100.0}

    async def test_first_report_may_complete(self, recorder: Recorder, database: Database, video_id: str) -> None:
        await recorder.record(MEMBER, video_id, Report(1.0, completed=True))
        assert [(row.type, row.version) for row in await recorded_events(database)] == [("progress.completed", 1)]

    async def test_failed_write_emits_no_event(
        self, recorder: Recorder, database: Database, video_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await recorder.record(MEMBER, video_id, Report(1.0, 100.0))

        async def fail(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
            await outbox.store(session, rows)
            raise ConnectionError

        monkeypatch.setattr("kit.db.database.store", fail)
        with pytest.raises(ConnectionError):
            await recorder.record(MEMBER, video_id, Report(99.0, 100.0))
        assert await recorded_events(database) == []
        assert (await stored(database, video_id)).position_sec == 1.0

    async def test_history_takes_same_queries_for_any_length(
        self, recorder: Recorder, history: History, catalog: FakeCatalog, video_id: str
    ) -> None:
        await recorder.record(MEMBER, video_id, Report(1.0, 100.0))
        counts = []
        for _ in range(2):
            catalog.questions.clear()
            with count_queries() as seen:
                entries, total = await history.page(MEMBER, offset=0, limit=100)
            assert len(entries) == total
            counts.append((len(selects(seen.statements)), len(catalog.questions)))
            for _ in range(40):
                await recorder.record(MEMBER, catalog.add(make_video()).id, Report(1.0, 100.0))
        assert counts == [(2, 1), (2, 1)]

    async def test_history_pages_do_not_overlap(
        self, recorder: Recorder, history: History, catalog: FakeCatalog
    ) -> None:
        ids = [catalog.add(make_video()).id for _ in range(7)]
        for id_ in ids:
            await recorder.record(MEMBER, id_, Report(1.0, 100.0))
        pages = [await history.page(MEMBER, offset=offset, limit=3) for offset in (0, 3, 6)]
        assert [entry.record.video_id for entries, _ in pages for entry in entries] == ids[::-1]
        assert {total for _, total in pages} == {7}

    async def test_report_takes_one_select(self, recorder: Recorder, video_id: str) -> None:
        await recorder.record(MEMBER, video_id, Report(1.0, 100.0))
        with count_queries() as seen:
            await recorder.record(MEMBER, video_id, Report(2.0, 100.0))
        assert len(selects(seen.statements)) == 1

    async def test_history_uses_index(self, database: Database) -> None:
        async with database.engine.connect() as connection:
            plan = await connection.run_sync(self.plan_of_history)
        assert "ix_watch_progress_history" in plan
        assert "sort" not in plan.lower()
        assert "b-tree" not in plan.lower()

    def plan_of_history(self, connection: Connection) -> str:
        raise NotImplementedError

    async def test_erasing_keeps_other_viewers(self, recorder: Recorder, history: History, video_id: str) -> None:
        for caller in (MEMBER, COLLEAGUE):
            await recorder.record(caller, video_id, Report(1.0, 100.0))
        await history.erase(MEMBER.user_id, None)
        assert await history.record(MEMBER.user_id, video_id) is None
        assert await history.record(COLLEAGUE.user_id, video_id) is not None

    async def test_deleted_account_leaves_no_data(
        self, database: Database, recorder: Recorder, history: History, video_id: str
    ) -> None:
        bus = FakeBus()
        subscribe(bus, database, a_view_log(database))
        for caller in (MEMBER, COLLEAGUE):
            await recorder.record(caller, video_id, Report(1.0, 100.0))
        deleted = event_of("user.deleted", user_pb2.UserDeleted(user_id=MEMBER.user_id))
        for _ in range(2):
            await bus.deliver(deleted)
        assert await history.record(MEMBER.user_id, video_id) is None
        assert await history.record(COLLEAGUE.user_id, video_id) is not None

    async def test_late_events_do_not_restore_erased_viewer(
        self, database: Database, recorder: Recorder, history: History, video_id: str
    ) -> None:
        bus = FakeBus()
        view_log = a_view_log(database)
        subscribe(bus, database, view_log)
        erased = event_of("user.deleted", user_pb2.UserDeleted(user_id=MEMBER.user_id))

        async def report() -> bool:
            try:
                await recorder.record(MEMBER, video_id, Report(2.0, 100.0))
            except ApiError as error:
                return error.code != "AUTH_INVALID_TOKEN"
            return True

        begun, late = (started(video_id, datetime.now(UTC), MEMBER.user_id) for _ in range(2))
        reports = [report() for _ in range(WRITERS)]
        await asyncio.gather(*reports[:25], bus.deliver(begun), bus.deliver(erased), *reports[25:])
        await bus.deliver(late)
        assert await report() is False
        assert await history.record(MEMBER.user_id, video_id) is None
        assert await view_log.page(ViewFilter(), offset=0, limit=10) == ([], 0, None)
        assert (
            await Points(database, FakeAccounts(), per_view=10).ledger(MEMBER.user_id, offset=0, limit=1)
        ).total == 0
        assert await Views(database).by_videos([video_id], 1) == {video_id: 2}

    async def test_repeated_event_counts_one_view(self, database: Database) -> None:
        bus, views = FakeBus(), Views(database)
        subscribe(bus, database, a_view_log(database))
        video_id, now = new_id(), datetime.now(UTC)
        sessions = [started(video_id, now) for _ in range(WRITERS)]
        await asyncio.gather(*(bus.deliver(event) for event in [*sessions, *sessions]))
        await bus.deliver(sessions[0])
        assert await views.by_videos([video_id], 1) == {video_id: WRITERS}

    async def test_failed_view_is_counted_at_redelivery(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bus, views = FakeBus(), Views(database)
        subscribe(bus, database, a_view_log(database))
        video_id = new_id()
        event = started(video_id, datetime.now(UTC))

        async def fail(*_: object) -> None:
            raise ConnectionError

        with monkeypatch.context() as broken:
            broken.setattr(ViewCountRepository, "add", fail)
            with pytest.raises(ConnectionError):
                await bus.deliver(event)
        await bus.deliver(event)
        assert await views.by_videos([video_id], 1) == {video_id: 1}

    async def test_views_cover_last_days_most_viewed_first(self, database: Database) -> None:
        bus, views = FakeBus(), Views(database)
        subscribe(bus, database, a_view_log(database))
        first, second, third = sorted(new_id() for _ in range(3))
        now = datetime.now(UTC)
        ages = [(first, 6), (first, 6), (first, 0), (second, 1), (third, 0), (third, 9), (third, -1)]
        for video_id, age in ages:
            await bus.deliver(started(video_id, now - timedelta(days=age)))
        videos = [first, second, third]
        assert await views.by_videos(videos, 7) == {first: 3, third: 2, second: 1}
        assert await views.by_videos(videos, 1) == {third: 2, first: 1}
        assert await views.by_videos([first, second, new_id()], 7) == {first: 3, second: 1}

    async def test_old_days_are_removed(self, database: Database) -> None:
        views, today = Views(database), datetime.now(UTC).date()
        async with database.write() as transaction:
            for age in range(10):
                await ViewCountRepository(transaction.session).add({(today - timedelta(days=age), "film"): 1})
        for _ in range(2):
            await views.trim()
        async with database.read() as session:
            assert await ViewCountRepository(session).by_videos(["film"], today - timedelta(days=100)) == {"film": 7}

    async def test_migrated_schema_equals_models(self, database: Database) -> None:
        assert await schema_differences(database, Base.metadata) == []

    def test_migrating_again_changes_nothing(self, database_url: str) -> None:
        upgrade(MIGRATIONS, database_url)


HISTORY = "SELECT * FROM watch_progress WHERE user_id = 'u' ORDER BY updated_at DESC, video_id DESC LIMIT 20"


class TestSqlite(DatabaseContract):
    """A file."""

    def plan_of_history(self, connection: Connection) -> str:
        return str(connection.execute(text(f"EXPLAIN QUERY PLAN {HISTORY}")).all())


class TestPostgres(DatabaseContract):
    """A server."""

    @pytest.fixture
    def database_url(self, postgres_server: PostgresServer, migrated: MigratedDatabases) -> Iterator[str]:
        with migrated.postgres(postgres_server) as url:
            yield url

    def plan_of_history(self, connection: Connection) -> str:
        # An empty table is cheapest to read from end to end.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        return str(connection.execute(text(f"EXPLAIN {HISTORY}")).all())
