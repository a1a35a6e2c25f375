"""Reports that are written in groups: exact, each answered after its commit, at a constant number of statements."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.errors import ApiError, ErrorCode
from kit.events.outbox import outbox
from kit.ids import new_id
from kit.telemetry import service_context
from kit.testing.databases import MigratedDatabases
from kit.testing.plans import capture_selects, explain, scans
from kit.testing.servers import PostgresServer
from services.progress.domain import Progress, Report, advance, begin, is_longer
from services.progress.models import WatchProgress
from services.progress.repository import ViewerRepository, WatchProgressRepository, watching
from services.progress.service import Recorder, erase_viewers, forget_videos, recording
from services.progress.service.recording import ReportWriter
from services.progress.tests.fakes import MEMBER, FakeCatalog, make_video, now_ms, session_at

FILM_SEC = 100.0
DEADLINE_SEC = 60
Key = tuple[str, str]


async def add_records(database: Database, keys: Sequence[Key]) -> None:
    """Insert a first report for each viewer and video."""
    now = datetime.now(UTC)
    async with database.write() as transaction:
        for user_id, video_id in keys:
            first = begin(Report(0.0, FILM_SEC), FILM_SEC, now)
            assert await WatchProgressRepository(transaction.session).insert(user_id, video_id, first, now)


async def records(database: Database) -> dict[Key, WatchProgress]:
    """Return all records."""
    async with database.read() as session:
        return {(each.user_id, each.video_id): each for each in await session.scalars(select(WatchProgress))}


def random_report(random: Random, sessions: Sequence[str]) -> Report:
    """Return a report as players send them: late ones, ones of old sessions, of longer films, at the end."""
    return Report(
        position_sec=float(random.choice([1, 5, 40, 60, 94, 95, 96, 100])),
        duration_sec=random.choice([None, FILM_SEC, FILM_SEC, FILM_SEC + 50]),
        session_id=random.choice([None, "player", *sessions]),
        seq=random.choice([None, *range(8)]),
        completed=random.choice([None, None, None, True, False]),
    )


class Expected:
    """What reports do when they are applied one after the other."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.records = {key: (begin(Report(0.0, FILM_SEC), FILM_SEC, datetime.now(UTC)), 1) for key in keys}
        self.completed: list[tuple[str, int]] = []

    def apply(self, key: Key, report: Report) -> Progress | None:
        """Apply a report and return what its client is answered."""
        before, version = self.records[key]
        if is_longer(report, before):
            return None
        after = advance(before, report, datetime.now(UTC))
        if after is None:
            return before
        self.records[key] = after, version + 1
        if after.completed and not before.completed:
            self.completed.append((":".join(key), version + 1))
        return after


class RecordingContract:
    """What groups of reports do on every database."""

    @pytest.mark.parametrize("seed", range(3))
    async def test_group_gives_the_same_as_one_by_one(
        self, database: Database, seed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        random = Random(seed)
        monkeypatch.setattr(recording, "GROUP_MAX", random.choice([3, 17, 200]))
        keys = [(new_id(), new_id()) for _ in range(5)]
        sessions = [session_at(now_ms() - age * 1000) for age in range(3)]
        reports = [(random.choice(keys), random_report(random, sessions)) for _ in range(150)]
        await add_records(database, keys)
        expected, writer = Expected(keys), ReportWriter(database)
        answers = [expected.apply(key, report) for key, report in reports]
        assert await asyncio.gather(*(writer.write(*key, report) for key, report in reports)) == answers
        found = await records(database)
        assert {key: (each.progress, each.version) for key, each in found.items()} == expected.records
        async with database.read() as session:
            rows = await session.execute(select(outbox.c.subject, outbox.c.version).order_by(outbox.c.id))
        assert sorted((row.subject, row.version) for row in rows) == sorted(expected.completed)

    async def test_statements_of_a_group_are_constant(self, database: Database) -> None:
        keys = [(new_id(), new_id()) for _ in range(150)]
        await add_records(database, keys)
        writer, sent = ReportWriter(database), list[tuple[str, bool]]()

        def note(_connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, many: bool) -> None:
            if any(table in statement for table in ("watch_progress", "outbox")):
                sent.append((statement.partition(" ")[0], many))

        for chosen in (keys[:1], keys[1:]):
            sent.clear()
            event.listen(Engine, "before_cursor_execute", note)
            try:
                await asyncio.gather(*(writer.write(*key, Report(99.0)) for key in chosen))
            finally:
                event.remove(Engine, "before_cursor_execute", note)
            assert [kind for kind, _ in sent] == ["SELECT", "UPDATE", "INSERT"], "each completes its film"
        assert [many for _, many in sent] == [False, True, True]

    async def test_group_reads_no_table_whole(self, database: Database) -> None:
        keys = [(new_id(), new_id()) for _ in range(20)]
        await add_records(database, keys)
        writer = ReportWriter(database)
        with capture_selects() as statements:
            await asyncio.gather(*(writer.write(*key, Report(9.0)) for key in keys))
        (statement,) = statements
        assert scans(await explain(database, statement), ["watch_progress"]) == []

    async def test_defective_report_fails_alone(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        keys = [(new_id(), new_id()) for _ in range(5)]
        await add_records(database, keys)

        def poisoned(current: Progress, report: Report, now: datetime) -> Progress | None:
            if report.position_sec == 13.0:
                raise ArithmeticError
            return advance(current, report, now)

        monkeypatch.setattr(recording, "advance", poisoned)
        writer = ReportWriter(database)
        reports = [writer.write(*key, Report(13.0 if key is keys[2] else 7.0)) for key in keys]
        answers = await asyncio.gather(*reports, return_exceptions=True)
        assert [isinstance(answer, ArithmeticError) for answer in answers] == [False, False, True, False, False]
        found = await records(database)
        assert [found[key].position_sec for key in keys] == [7.0, 7.0, 0.0, 7.0, 7.0]
        assert [found[key].version for key in keys] == [2, 2, 1, 2, 2]

    async def test_reports_that_need_catalog_leave_their_group(self, database: Database) -> None:
        catalog, gone = FakeCatalog(), Caller(user_id=new_id(), role="member", status="active")
        known, new, long = (catalog.add(make_video()).id for _ in range(3))
        await add_records(database, [(MEMBER.user_id, known), (MEMBER.user_id, long)])
        async with database.write() as transaction:
            await ViewerRepository(transaction.session).erase([gone.user_id], datetime.now(UTC))
        recorder = Recorder(database, catalog)
        answers = await asyncio.gather(
            recorder.record(MEMBER, known, Report(5.0)),
            recorder.record(MEMBER, new, Report(6.0)),
            recorder.record(MEMBER, long, Report(150.0, 200.0)),
            recorder.record(MEMBER, new_id(), Report(7.0)),
            recorder.record(gone, known, Report(8.0)),
            return_exceptions=True,
        )
        assert [each.position_sec if isinstance(each, Progress) else None for each in answers] == [
            *(5.0, 6.0, FILM_SEC),
            *(None, None),
        ]
        assert [each.code for each in answers if isinstance(each, ApiError)] == [
            ErrorCode.CONTENT_NOT_FOUND,
            ErrorCode.AUTH_INVALID_TOKEN,
        ]
        assert {key: each.position_sec for key, each in (await records(database)).items()} == {
            (MEMBER.user_id, known): 5.0,
            (MEMBER.user_id, new): 6.0,
            (MEMBER.user_id, long): FILM_SEC,
        }

    async def test_several_writers_and_deletions_stay_exact(self, database: Database) -> None:
        """Four writers, as four processes have, on the same records, while videos and an account are deleted."""
        kept = [(new_id(), new_id()) for _ in range(4)]
        doomed = [(user_id, new_id()) for user_id, _ in kept]
        erased = [(new_id(), video_id) for _, video_id in kept]
        await add_records(database, [*kept, *doomed, *erased])
        writers = [ReportWriter(database) for _ in range(4)]

        async def watch(writer: ReportWriter, random: Random) -> None:
            for _ in range(5):
                keys = random.sample([*kept, *doomed, *erased], 12)
                await asyncio.gather(*(writer.write(*key, Report(random.uniform(0, 90))) for key in keys))

        async def delete() -> None:
            for _, video_id in doomed:
                async with database.write() as transaction:
                    await forget_videos(transaction, [video_id])
            for user_id, _ in erased:
                async with database.write() as transaction:
                    await erase_viewers(transaction, [user_id])

        async with asyncio.timeout(DEADLINE_SEC):
            await asyncio.gather(*(watch(writer, Random(seed)) for seed, writer in enumerate(writers)), delete())
        found = await records(database)
        assert sorted(found) == sorted(kept)
        assert [found[key].version for key in kept] == [1 + 4 * 5] * len(kept)

    async def test_caller_that_leaves_does_not_stop_the_others(self, database: Database) -> None:
        keys = [(new_id(), new_id()) for _ in range(3)]
        await add_records(database, keys)
        writer = ReportWriter(database)
        tasks = [asyncio.create_task(writer.write(*key, Report(9.0))) for key in keys]
        await asyncio.sleep(0)
        tasks[0].cancel()
        left, *answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(left, asyncio.CancelledError)
        assert [each.position_sec for each in answers if isinstance(each, Progress)] == [9.0, 9.0]

    async def test_events_keep_the_trace_of_their_report(self, database: Database) -> None:
        keys = [(new_id(), new_id()) for _ in range(3)]
        await add_records(database, keys)
        writer = ReportWriter(database)

        async def complete(number: int) -> None:
            with service_context("progress", request_id=f"request-{number}", traceparent=f"trace-{number}"):
                await writer.write(*keys[number], Report(99.0))

        await asyncio.gather(*(complete(number) for number in range(3)))
        async with database.read() as session:
            rows = list(await session.execute(select(outbox)))
        assert {(row.subject, row.request_id, row.traceparent) for row in rows} == {
            (":".join(key), f"request-{number}", f"trace-{number}") for number, key in enumerate(keys)
        }
        assert {json.loads(row.body)["user_id"] for row in rows} == {user_id for user_id, _ in keys}

    async def test_answered_reports_survive_a_killed_process(self, database: Database, database_url: str) -> None:
        user_id, video_ids = new_id(), [new_id() for _ in range(8)]
        await add_records(database, [(user_id, video_id) for video_id in video_ids])
        answered = await asyncio.to_thread(report_until_killed, database_url, user_id, video_ids)
        found = await records(database)
        assert len(answered) == len(video_ids)
        for video_id, position in answered.items():
            # One more of each may be committed and not answered.
            assert position <= found[user_id, video_id].position_sec <= position + 1


def report_until_killed(database_url: str, user_id: str, video_ids: Sequence[str]) -> dict[str, int]:
    """Start a process that reports, kill it after some answers, and return the last answered position of each video."""
    command = [sys.executable, "-m", "services.progress.tests.integration.report", database_url, user_id, *video_ids]
    answered: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - made above
        assert process.stdout is not None
        for number, line in enumerate(process.stdout):
            video_id, position = line.split()
            answered[video_id] = int(position)
            if number == 20 * len(video_ids):
                process.kill()
    return answered


class TestSqlite(RecordingContract):
    """A file."""


class TestPostgres(RecordingContract):
    """A server."""

    @pytest.fixture
    def database_url(self, postgres_server: PostgresServer, migrated: MigratedDatabases) -> Iterator[str]:
        with migrated.postgres(postgres_server) as url:
            yield url

    async def test_record_that_is_locked_for_long_fails_alone(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watching, "_BOUND_LOCKS", text("SET LOCAL lock_timeout = '50ms'"))
        keys = [(new_id(), new_id()) for _ in range(3)]
        await add_records(database, keys)
        writer = ReportWriter(database)
        async with database.write() as other:
            await WatchProgressRepository(other.session).get_for_update(*keys[1])
            reports = [writer.write(*key, Report(9.0)) for key in keys]
            answers = await asyncio.gather(*reports, return_exceptions=True)
        assert [type(each) for each in answers] == [Progress, watching.RecordLockedError, Progress]
        assert (await writer.write(*keys[1], Report(9.0))) is not None
