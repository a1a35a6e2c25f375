"""The view log and the ledger on a real database, also among consumers that are killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from random import Random

import pytest
from google.protobuf.message import Message
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from kit.db.database import Database
from kit.errors import ApiError
from kit.events.envelope import Event
from kit.events.outbox import outbox
from kit.ids import new_id
from kit.testing.databases import MigratedDatabases
from kit.testing.depth import cases
from kit.testing.fakes import FakeBus, event_of
from kit.testing.servers import PostgresServer
from marquee.events.v1 import points_pb2, stream_pb2, user_pb2, video_pb2
from services.progress.consumers import subscribe
from services.progress.domain import Report, ViewFilter
from services.progress.models import PointEntry, View, Viewer
from services.progress.service import Points, Recorder, ViewLog, Views
from services.progress.tests.fakes import ADMIN, MEMBER, FakeAccounts, FakeCatalog, a_view_log, make_video

SESSIONS = cases(quick=40, deep=100)
LIVES = 3
AT_ONCE = 20
"""Events that are delivered side by side; more would wait for a connection of the pool."""
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERYTHING = ViewFilter()


def began(user_id: str, video_id: str, moment: datetime = NOW, session_id: str | None = None) -> Event:
    """A session that got its slot."""
    message = stream_pb2.StreamStarted(
        session_id=session_id or new_id(), user_id=user_id, video_id=video_id, source="nas"
    )
    message.timestamp.FromDatetime(moment)
    return event_of("stream.started", message)


def ended(start: Event, seconds: float, bytes_sent: int) -> Event:
    """The same session's end."""
    started = start.read(stream_pb2.StreamStarted)
    message = stream_pb2.StreamStopped(
        session_id=started.session_id, user_id=started.user_id, video_id=started.video_id, source=started.source,
        duration_seconds=seconds, bytes_transferred=bytes_sent, reason="ended",
    )  # fmt: skip
    message.timestamp.FromDatetime(started.timestamp.ToDatetime(UTC) + timedelta(seconds=seconds))
    return event_of("stream.stopped", message)


class ServiceHarness:
    """Progress without its neighbours, and the means to look at what it has written."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.bus = FakeBus()
        self.accounts = FakeAccounts(ann=MEMBER.user_id)
        self.catalog = FakeCatalog()
        self.points = Points(database, self.accounts, per_view=10)
        self.views = Views(database)
        self.log = ViewLog(database, self.points, self.views, self.catalog, self.accounts)
        subscribe(self.bus, database, self.log)

    async def ledger(self, user_id: str = MEMBER.user_id) -> tuple[int, list[PointEntry]]:
        """Return a user's balance and lines, oldest first."""
        ledger = await self.points.ledger(user_id, offset=0, limit=100)
        assert ledger.total == len(ledger.entries)
        return ledger.balance, list(ledger.entries)[::-1]

    async def logged(self, wanted: ViewFilter = EVERYTHING) -> Sequence[View]:
        """The view log."""
        return [line.view for line in (await self.log.page(wanted, offset=0, limit=100))[0]]

    async def recorded_events(self, message: type[Message]) -> list[Message]:
        """Return the recorded events of points."""
        async with self.database.read() as session:
            rows = await session.execute(select(outbox).where(outbox.c.type == "points.granted").order_by(outbox.c.id))
            return [
                Event(type=row.type, source="", subject=row.subject, body=bytes(row.body)).read(message) for row in rows
            ]


@pytest.fixture
def harness(database: Database) -> ServiceHarness:
    return ServiceHarness(database)


class DatabaseContract:
    """What must hold on any database."""

    async def test_only_first_view_earns_points(self, harness: ServiceHarness) -> None:
        first, second = new_id(), new_id()
        for video_id in (first, first, second, first):
            await harness.bus.deliver(began(MEMBER.user_id, video_id))
        balance, entries = await harness.ledger()
        assert balance == 20
        assert [(each.number, each.points, each.balance, each.video_id) for each in entries] == [
            (1, 10, 10, first),
            (2, 10, 20, second),
        ]
        assert len(await harness.logged()) == 4
        events = await harness.recorded_events(points_pb2.PointsGranted)
        assert events == [
            points_pb2.PointsGranted(user_id=MEMBER.user_id, points=10, balance=10, video_id=first),
            points_pb2.PointsGranted(user_id=MEMBER.user_id, points=10, balance=20, video_id=second),
        ]
        async with harness.database.read() as session:
            versions = await session.scalars(select(outbox.c.version).where(outbox.c.type == "points.granted"))
        assert sorted(versions) == [1, 2], "of two balances the newer is known"
        assert await harness.points.contradictions() == []

    async def test_concurrent_first_views_earn_once(self, harness: ServiceHarness) -> None:
        video_id = new_id()
        events = [began(MEMBER.user_id, video_id) for _ in range(SESSIONS)] * 3
        Random(3).shuffle(events)
        await asyncio.gather(*(harness.bus.deliver(event) for event in events))
        balance, entries = await harness.ledger()
        assert (balance, len(entries)) == (10, 1)
        assert (await harness.log.page(EVERYTHING, offset=0, limit=1))[1] == SESSIONS
        assert len(await harness.recorded_events(points_pb2.PointsGranted)) == 1

    async def test_concurrent_first_views_of_many_viewers_earn_once_each(self, harness: ServiceHarness) -> None:
        users, videos = [new_id() for _ in range(5)], [new_id() for _ in range(5)]
        events = [began(user, video) for user in users for video in videos] * 3
        Random(5).shuffle(events)
        await asyncio.gather(*(harness.bus.deliver(event) for event in events))
        for user in users:
            assert (await harness.ledger(user))[0] == 50
        assert await harness.points.contradictions() == []

    async def test_killed_consumers_grant_points_once(
        self, harness: ServiceHarness, database_url: str, tmp_path: Path
    ) -> None:
        """Many sessions, each delivered three times by each of two processes that are killed repeatedly."""
        video_id = new_id()
        events = [began(MEMBER.user_id, video_id, datetime.now(UTC)) for _ in range(SESSIONS)]
        file = tmp_path / "events"
        file.write_text("\n".join(json.dumps(_plain(event)) for event in events))
        await asyncio.gather(*(asyncio.to_thread(_consume, database_url, file, Random(seed)) for seed in range(2)))
        balance, entries = await harness.ledger()
        assert (balance, len(entries)) == (10, 1)
        assert (await harness.log.page(EVERYTHING, offset=0, limit=1))[1] == SESSIONS
        assert await harness.views.by_videos([video_id], 7) == {video_id: SESSIONS}
        assert len(await harness.recorded_events(points_pb2.PointsGranted)) == 1
        assert await harness.points.contradictions() == []

    async def test_session_is_one_line_in_any_order_of_events(self, harness: ServiceHarness) -> None:
        for order in permutations(range(2)):
            session_id, user_id = new_id(), new_id()
            start = began(user_id, new_id(), session_id=session_id)
            events = [start, ended(start, 90.5, 2**40)]
            for index in order:
                await harness.bus.deliver(events[index])
            (view,) = await harness.logged(ViewFilter(user_id=user_id))
            assert (view.session_id, view.source, view.started_at) == (session_id, "nas", NOW)
            assert (view.stopped_at, view.seconds, view.bytes) == (NOW + timedelta(seconds=90.5), 90.5, 2**40)
            assert (await harness.ledger(user_id))[0] == 10

    async def test_end_alone_sets_start_and_earns_nothing(self, harness: ServiceHarness) -> None:
        await harness.bus.deliver(ended(began(MEMBER.user_id, new_id()), 60.0, 1))
        (view,) = await harness.logged()
        assert view.started_at == NOW
        assert await harness.ledger() == (0, [])
        assert await harness.points.contradictions() == []

    async def test_failed_view_earns_points_at_redelivery(
        self, harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = began(MEMBER.user_id, new_id())

        async def fail(*_: object) -> None:
            raise ConnectionError

        with monkeypatch.context() as broken:
            broken.setattr(Views, "count", fail)
            with pytest.raises(ConnectionError):
                await harness.bus.deliver(event)
        assert (await harness.ledger(), await harness.logged()) == ((0, []), [])
        await harness.bus.deliver(event)
        assert (await harness.ledger())[0] == 10

    async def test_table_refuses_second_line_of_a_view(self, harness: ServiceHarness, database: Database) -> None:
        await harness.bus.deliver(began(MEMBER.user_id, video_id := new_id()))
        line = {"user_id": MEMBER.user_id, "points": 10, "balance": 20, "created_at": NOW}
        with pytest.raises(IntegrityError):
            async with database.write() as transaction:
                await transaction.session.execute(
                    insert(PointEntry).values({**line, "number": 2, "video_id": video_id})
                )
        with pytest.raises(IntegrityError):
            async with database.write() as transaction:
                await transaction.session.execute(insert(PointEntry).values({**line, "number": 2, "reason": "gift"}))

    async def test_zero_points_add_line_without_event(self, database: Database) -> None:
        bus = FakeBus()
        subscribe(bus, database, a_view_log(database, per_view=0))
        await bus.deliver(began(MEMBER.user_id, new_id()))
        harness = ServiceHarness(database)
        assert (await harness.ledger())[0] == 0
        assert await harness.recorded_events(points_pb2.PointsGranted) == []
        assert await harness.points.contradictions() == []

    async def test_balance_sums_views_and_adjustments(self, harness: ServiceHarness) -> None:
        await harness.bus.deliver(began(MEMBER.user_id, new_id()))
        await harness.points.adjust(MEMBER.user_id, 5, "a prize", by=ADMIN.user_id)
        await harness.points.adjust(MEMBER.user_id, -15, "a mistake", by=ADMIN.user_id)
        balance, entries = await harness.ledger()
        assert balance == 0
        assert [(each.points, each.balance, each.reason, each.adjusted_by) for each in entries] == [
            (10, 10, None, None),
            (5, 15, "a prize", ADMIN.user_id),
            (-15, 0, "a mistake", ADMIN.user_id),
        ]
        assert len(await harness.recorded_events(points_pb2.PointsGranted)) == 3

    async def test_concurrent_adjustments_never_go_below_zero(self, harness: ServiceHarness) -> None:
        await harness.points.adjust(MEMBER.user_id, 50, "a start", by=ADMIN.user_id)
        taken = await asyncio.gather(
            *(harness.points.adjust(MEMBER.user_id, -20, "a fee", by=ADMIN.user_id) for _ in range(10)),
            return_exceptions=True,
        )
        refused = [each for each in taken if isinstance(each, ApiError)]
        assert ([each.code for each in refused], len(taken)) == (["VALIDATION_FAILED"] * 8, 10)
        assert (await harness.ledger())[0] == 10
        assert await harness.points.contradictions() == []

    async def test_adjustment_of_unknown_user_is_refused(self, harness: ServiceHarness) -> None:
        with pytest.raises(ApiError) as refused:
            await harness.points.adjust(new_id(), 5, "who?", by=ADMIN.user_id)
        assert refused.value.code == "CONTENT_NOT_FOUND"
        harness.accounts.is_away = True
        with pytest.raises(ApiError) as refused:
            await harness.points.adjust(MEMBER.user_id, 5, "who?", by=ADMIN.user_id)
        assert refused.value.code == "SERVICE_UNAVAILABLE"
        assert (await harness.ledger())[0] == 0

    @pytest.mark.parametrize(
        "damage", [{"points": 11}, {"balance": 11}, {"number": 3}, {"video_id": new_id()}], ids=lambda each: str(*each)
    )
    async def test_tampered_ledger_is_reported(
        self, harness: ServiceHarness, database: Database, damage: dict[str, object]
    ) -> None:
        await harness.bus.deliver(began(MEMBER.user_id, new_id()))
        async with database.write() as transaction:
            await transaction.session.execute(update(PointEntry).values(damage))
        (found,) = await harness.points.contradictions()
        assert found.startswith(MEMBER.user_id)

    async def test_view_log_filters(self, harness: ServiceHarness) -> None:
        other, film = new_id(), new_id()
        for later, user_id in enumerate((MEMBER.user_id, other, MEMBER.user_id)):
            await harness.bus.deliver(began(user_id, film, NOW + timedelta(hours=later)))
        await harness.bus.deliver(began(other, new_id(), NOW))

        async def hours(**wanted: object) -> list[float]:
            found = await harness.logged(ViewFilter(**wanted))  # type: ignore[arg-type]
            return [(view.started_at - NOW) / timedelta(hours=1) for view in found]

        assert await hours() == [2, 1, 0, 0]
        assert await hours(user_id=MEMBER.user_id) == [2, 0]
        assert await hours(video_id=film) == [2, 1, 0]
        assert await hours(video_id=film, user_id=other) == [1]
        assert await hours(begin=NOW + timedelta(hours=1)) == [2, 1]
        assert await hours(begin=NOW, end=NOW + timedelta(hours=1)) == [0, 0]

    async def test_long_log_is_read_in_batches_without_gaps(self, harness: ServiceHarness) -> None:
        # Many of one moment: the session's id tells them apart.
        users = [new_id() for _ in range(3)]
        events = [began(users[n % 3], new_id(), NOW + timedelta(seconds=n // 50)) for n in range(250)]
        for first in range(0, len(events), AT_ONCE):
            await asyncio.gather(*(harness.bus.deliver(event) for event in events[first : first + AT_ONCE]))
        read = [line.view.session_id async for lines in harness.log.all(EVERYTHING) for line in lines]
        assert sorted(read) == sorted(event.read(stream_pb2.StreamStarted).session_id for event in events)
        assert len(set(read)) == 250

    async def test_titles_and_logins_come_from_catalog_and_auth(self, harness: ServiceHarness) -> None:
        video = harness.catalog.add(make_video(title="Night Train"))
        await harness.bus.deliver(began(MEMBER.user_id, video.id))
        (line,), _, _ = await harness.log.page(EVERYTHING, offset=0, limit=1)
        assert (line.login_id, line.title) == ("ann", "Night Train")
        harness.accounts.is_away = harness.catalog.is_away = True
        (line,), _, _ = await harness.log.page(EVERYTHING, offset=0, limit=1)
        assert (line.login_id, line.title) == (None, None)

    async def test_erasures_are_removed_after_a_month(self, harness: ServiceHarness, database: Database) -> None:
        await harness.bus.deliver(event_of("user.deleted", user_pb2.UserDeleted(user_id=MEMBER.user_id)))
        for age, left in ((29, 1), (31, 0)):
            async with database.write() as transaction:
                await transaction.session.execute(update(Viewer).values(erased_at=datetime.now(UTC) - timedelta(age)))
            await harness.views.trim()
            async with database.read() as session:
                assert await session.scalar(select(func.count()).select_from(Viewer)) == left

    async def test_purged_video_keeps_log_and_points(self, harness: ServiceHarness, database: Database) -> None:
        video, other = (harness.catalog.add(make_video()) for _ in range(2))
        recorder = Recorder(database, harness.catalog)
        for each in (video, other):
            await harness.bus.deliver(began(MEMBER.user_id, each.id, datetime.now(UTC)))
            await recorder.record(MEMBER, each.id, Report(1.0, 100.0))
        await harness.bus.deliver(event_of("video.purged", video_pb2.VideoPurged(video_id=video.id)))
        assert await harness.views.by_videos([video.id, other.id], 1) == {other.id: 1}
        assert await recorder.record(MEMBER, other.id, None) is not None
        assert await recorder.record(MEMBER, video.id, None) is None
        assert (await harness.ledger())[0] == 20
        assert len(await harness.logged()) == 2

    async def test_pages_use_an_index(self, database: Database) -> None:
        raise NotImplementedError


class TestSqlite(DatabaseContract):
    """A file."""

    async def test_pages_use_an_index(self, database: Database) -> None:
        assert all("USING INDEX" in plan and "TEMP B-TREE" not in plan for plan in await self.plans(database))

    @staticmethod
    async def plans(database: Database) -> list[str]:
        async with database.read() as session:
            return [str((await session.execute(text(f"EXPLAIN QUERY PLAN {query}"))).all()) for query in PAGES]


class TestPostgres(DatabaseContract):
    """A server."""

    @pytest.fixture
    def database_url(self, postgres_server: PostgresServer, migrated: MigratedDatabases) -> Iterator[str]:
        with migrated.postgres(postgres_server) as url:
            yield url

    async def test_pages_use_an_index(self, database: Database) -> None:
        async with database.read() as session:
            # An empty table is cheapest to read from end to end.
            for setting in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
                await session.execute(text(f"SET LOCAL {setting} = off"))
            plans = [str((await session.execute(text(f"EXPLAIN {query}"))).all()) for query in PAGES]
        assert all("Index Scan" in plan and "Sort" not in plan for plan in plans)


_NEWEST = "ORDER BY started_at DESC, session_id DESC LIMIT 20"
PAGES = (
    *(
        f"SELECT * FROM view_log WHERE {condition} {_NEWEST}"  # noqa: S608 - made here
        for condition in ("true", "user_id = 'u'", "video_id = 'v'", "(started_at, session_id) < ('2026-01-01', 'x')")
    ),
    "SELECT * FROM point_ledger WHERE user_id = 'u' ORDER BY number DESC LIMIT 20",
)


def _plain(event: Event) -> dict[str, str]:
    return {
        "id": event.id, "type": event.type, "source": event.source, "subject": event.subject,
        "body": event.body.decode(),
    }  # fmt: skip


def _consume(database_url: str, events: Path, random: Random) -> None:
    """Starts a consumer, kills it while it works, and starts it again; the last one is let finish."""
    command = [sys.executable, "-m", "services.progress.tests.integration.consume", database_url, str(events)]
    for life in range(LIVES + 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - made above
            assert process.stdout is not None
            if life < LIVES:
                for _ in range(random.randint(1, 60)):
                    process.stdout.readline()
                process.kill()
                continue
            delivered = process.stdout.read().count(b"delivered")
        assert (process.returncode, delivered) == (0, SESSIONS * 3)
