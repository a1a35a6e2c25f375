"""Events of play sessions that are handled in groups: each once, a defective one alone, at a constant cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, event, select

from kit.db.database import Database
from kit.events.envelope import Event
from kit.events.outbox import outbox
from kit.ids import new_id
from kit.testing.databases import MigratedDatabases
from kit.testing.fakes import FakeBus, event_of
from kit.testing.plans import capture_selects, explain, scans
from kit.testing.queries import count_queries
from kit.testing.servers import PostgresServer
from marquee.events.v1 import stream_pb2, user_pb2, video_pb2
from services.progress.consumers import VIEWS, subscribe
from services.progress.models import PointEntry, View
from services.progress.service import Points, ViewLog, Views, views
from services.progress.tests.fakes import FakeAccounts, FakeCatalog, a_view_log
from services.progress.tests.integration.test_points import began, ended

NOW = datetime.now(UTC)
OLD_VIEWS = (
    "DELETE FROM view_log WHERE session_id IN "
    "(SELECT session_id FROM view_log WHERE started_at < '2026-01-01' ORDER BY started_at LIMIT 1000)"
)


class ConsumingContract:
    """What groups of events do on every database."""

    @pytest.fixture
    def bus(self, database: Database) -> FakeBus:
        bus = FakeBus()
        subscribe(bus, database, a_view_log(database))
        return bus

    async def test_many_events_in_any_order_and_number_count_once(self, bus: FakeBus, database: Database) -> None:
        """Starts and ends of sessions of a few viewers and videos, shuffled, some twice in one group, some twice."""
        random = Random(5)
        users, videos = [new_id() for _ in range(6)], [new_id() for _ in range(4)]
        starts = [began(random.choice(users), random.choice(videos), NOW) for _ in range(60)]
        events = [*starts, *(ended(start, 5.0, 7) for start in starts)]
        events += random.sample(events, 40)
        random.shuffle(events)
        await asyncio.gather(*(bus.deliver(each) for each in events))
        await asyncio.gather(*(bus.deliver(each) for each in random.sample(events, 20)))
        viewed = [_viewed(start) for start in starts]
        counted = await Views(database).by_videos(videos, 1)
        assert counted == Counter(video_id for _, video_id in viewed)
        async with database.read() as session:
            views = list(await session.scalars(select(View)))
            lines = list(await session.scalars(select(PointEntry)))
            granted = list(await session.execute(select(outbox).where(outbox.c.type == "points.granted")))
        assert sorted(view.session_id for view in views) == sorted(each.session_id for each in map(_message, starts))
        assert {(view.begun, view.seconds, view.bytes) for view in views} == {(True, 5.0, 7)}
        assert sorted((line.user_id, line.video_id or "") for line in lines) == sorted(set(viewed))
        assert sorted((row.subject, row.version) for row in granted) == sorted(
            (line.user_id, line.number) for line in lines
        )
        assert await Points(database, FakeAccounts(), per_view=10).contradictions() == []

    async def test_defective_event_fails_alone(
        self, bus: FakeBus, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        events = [began(new_id(), new_id(), NOW) for _ in range(6)]
        grant = Points.grant

        async def poisoned(self: Points, transaction: Any, views: Sequence[tuple[Any, Event]]) -> None:
            await grant(self, transaction, views)
            if any(cause.id == events[3].id for _, cause in views):
                raise ArithmeticError

        with monkeypatch.context() as broken:
            broken.setattr(Points, "grant", poisoned)
            failed = await asyncio.gather(*(bus.deliver(each) for each in events), return_exceptions=True)
        assert [isinstance(each, ArithmeticError) for each in failed] == [False] * 3 + [True] + [False] * 2
        assert await logged(database) == {_message(each).session_id for each in events} - {
            _message(events[3]).session_id
        }
        await bus.deliver(events[3])
        assert await logged(database) == {_message(each).session_id for each in events}

    async def test_statements_of_a_group_are_constant(self, bus: FakeBus, database: Database) -> None:
        sent = list[str]()

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
                sent.append(statement)

        counts = []
        for size in (2, VIEWS.concurrency):
            starts = [began(new_id(), new_id(), NOW) for _ in range(size // 2)]
            sent.clear()
            event.listen(Engine, "before_cursor_execute", note)
            try:
                both = [*starts, *(ended(start, 5.0, 7) for start in starts)]
                await asyncio.gather(*(bus.deliver(each) for each in both))
            finally:
                event.remove(Engine, "before_cursor_execute", note)
            counts.append(len(sent))
            assert len(await logged(database)) >= size // 2
        assert counts[0] == counts[1]

    async def test_accounts_and_videos_are_erased_in_groups_at_a_constant_cost(
        self, bus: FakeBus, database: Database
    ) -> None:
        starts = [began(new_id(), new_id(), NOW) for _ in range(8)]
        await asyncio.gather(*(bus.deliver(each) for each in starts))
        gone, counts = starts[:6], []
        for part in (gone[:2], gone[2:]):
            erased = [event_of("user.deleted", user_pb2.UserDeleted(user_id=_message(each).user_id)) for each in part]
            purged = [
                event_of("video.purged", video_pb2.VideoPurged(video_id=_message(each).video_id)) for each in part
            ]
            with count_queries() as counted:
                await asyncio.gather(*(bus.deliver(each) for each in [*erased, *erased[:1], *purged]))
            counts.append(counted.count)
        assert counts[0] == counts[1]
        assert await logged(database) == {_message(each).session_id for each in starts[6:]}
        videos = [_message(each).video_id for each in starts]
        assert set(await Views(database).by_videos(videos, 1)) == set(videos[6:])

    async def test_group_reads_no_table_whole(self, bus: FakeBus, database: Database) -> None:
        with capture_selects() as statements:
            await asyncio.gather(*(bus.deliver(began(new_id(), new_id(), NOW)) for _ in range(20)))
        assert len(statements) == 2
        for statement in statements:
            assert scans(await explain(database, statement), ["point_ledger", "viewers", "p", "point_ledger_1"]) == []

    async def test_old_lines_are_removed_and_points_and_counts_stay(
        self, bus: FakeBus, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(views, "TRIM_BATCH", 2)
        points, video_id = Points(database, FakeAccounts(), per_view=10), new_id()
        old = [began(new_id(), video_id, NOW - timedelta(days=3)) for _ in range(5)]
        new = [began(new_id(), video_id, NOW - timedelta(hours=age)) for age in (1, 40)]
        await asyncio.gather(*(bus.deliver(each) for each in [*old, *new]))
        kept_for_ever = ViewLog(database, points, Views(database), FakeCatalog(), FakeAccounts())
        assert await kept_for_ever.trim() == 0
        log = ViewLog(database, points, Views(database), FakeCatalog(), FakeAccounts(), days=2)
        assert [await log.trim(), await log.trim()] == [5, 0]
        assert await logged(database) == {_message(each).session_id for each in new}
        assert await Views(database).by_videos([video_id], 7) == {video_id: 7}
        for start in old:
            assert (await points.ledger(_message(start).user_id, offset=0, limit=1)).balance == 10
        assert await points.contradictions() == []
        await bus.deliver(old[0])
        assert len(await logged(database)) == len(new)

    @pytest.mark.parametrize(
        ("statement", "index"),
        [
            ("DELETE FROM outbox WHERE sent_at < '2026-01-01'", "ix_outbox_sent"),
            (OLD_VIEWS, "ix_view_log_started"),
        ],
    )
    async def test_deleting_what_is_old_uses_an_index(self, database: Database, statement: str, index: str) -> None:
        plan = await explain(database, (statement, ()))
        assert any(index in line for line in plan)
        assert scans(plan, ["outbox", "view_log"]) == []


async def logged(database: Database) -> set[str]:
    """Return the ids of all logged sessions."""
    async with database.read() as session:
        return set(await session.scalars(select(View.session_id)))


def _message(start: Event) -> stream_pb2.StreamStarted:
    return start.read(stream_pb2.StreamStarted)


def _viewed(start: Event) -> tuple[str, str]:
    message = _message(start)
    return message.user_id, message.video_id


class TestSqlite(ConsumingContract):
    """A file."""


class TestPostgres(ConsumingContract):
    """A server."""

    @pytest.fixture
    def database_url(self, postgres_server: PostgresServer, migrated: MigratedDatabases) -> Iterator[str]:
        with migrated.postgres(postgres_server) as url:
            yield url
