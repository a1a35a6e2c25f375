"""What is older than it is kept goes; balances, counts and rules of ledgers hold, on every database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from kit.db.database import Database
from kit.ids import new_id
from kit.testing.databases import MigratedDatabases
from kit.testing.servers import PostgresServer
from services.progress.models import PointEntry, Viewer, WatchProgress
from services.progress.repository.points import CARRIED_BY
from services.progress.service import retention
from services.progress.service.retention import Retention
from services.progress.tests.fakes import ADMIN, MEMBER
from services.progress.tests.integration.test_points import ServiceHarness, began

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=30)


async def age(database: Database, user_id: str, lines: int) -> None:
    """Make the first lines of a ledger old."""
    mine = PointEntry.user_id == user_id, PointEntry.number <= lines
    async with database.write() as transaction:
        await transaction.session.execute(update(PointEntry).where(*mine).values(created_at=OLD))


async def watched(database: Database, user_id: str, moment: datetime) -> str:
    """Store a position; return its video."""
    video_id = new_id()
    row = {
        "user_id": user_id, "video_id": video_id, "position_sec": 1.0, "duration_sec": 2.0, "completed": False,
        "updated_at": moment, "version": 1,
    }  # fmt: skip
    async with database.write() as transaction:
        await transaction.session.execute(insert(WatchProgress), [row])
    return video_id


class RetentionContract:
    @pytest.fixture
    def harness(self, database: Database) -> ServiceHarness:
        return ServiceHarness(database)

    async def test_old_lines_become_one_with_their_sum(self, harness: ServiceHarness) -> None:
        films = [new_id() for _ in range(4)]
        for film in films:
            await harness.bus.deliver(began(MEMBER.user_id, film, OLD))
        await harness.points.adjust(MEMBER.user_id, -15, "A prize", by=ADMIN.user_id)
        await age(harness.database, MEMBER.user_id, 3)
        shortens = Retention(harness.database, ledger_days=7)
        for _ in range(2):
            await shortens.apply()
            balance, lines = await harness.ledger()
            assert balance == 25
            assert [(line.number, line.points, line.balance, line.adjusted_by) for line in lines] == [
                (3, 30, 30, CARRIED_BY),
                (4, 10, 40, None),
                (5, -15, 25, ADMIN.user_id),
            ]
            assert await harness.points.contradictions() == []
        # What is still a line earns nothing again; the next line follows the last.
        await harness.bus.deliver(began(MEMBER.user_id, films[3]))
        await harness.bus.deliver(began(MEMBER.user_id, new_id()))
        balance, lines = await harness.ledger()
        assert (balance, lines[-1].number) == (35, 6)
        await age(harness.database, MEMBER.user_id, 6)
        await shortens.apply()
        balance, lines = await harness.ledger()
        assert (balance, [(line.number, line.points, line.balance) for line in lines]) == (35, [(6, 35, 35)])
        assert await harness.points.contradictions() == []

    async def test_check_still_finds_what_is_wrong_beside_carried_sums(self, harness: ServiceHarness) -> None:
        for _ in range(4):
            await harness.bus.deliver(began(MEMBER.user_id, new_id(), OLD))
        await age(harness.database, MEMBER.user_id, 2)
        await Retention(harness.database, ledger_days=7).apply()
        gone = PointEntry.user_id == MEMBER.user_id, PointEntry.number == 3
        async with harness.database.write() as transaction:
            await transaction.session.delete((await transaction.session.scalars(select(PointEntry).where(*gone))).one())
        assert f"{MEMBER.user_id}: line 4 is no sum" in await harness.points.contradictions()

    async def test_old_positions_and_empty_viewers_go(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "VIEWERS_EACH", 2)
        active, idle, empty, erased = (new_id() for _ in range(4))
        async with database.write() as transaction:
            rows = [{"user_id": each, "erased_at": NOW if each == erased else None} for each in (active, empty, erased)]
            await transaction.session.execute(insert(Viewer), [*rows, {"user_id": idle, "erased_at": None}])
        await watched(database, active, OLD)
        kept = await watched(database, active, NOW)
        await watched(database, idle, OLD)
        await Retention(database).apply()
        assert await users(database) == {active, idle, erased}
        await Retention(database, progress_days=7).apply()
        assert await users(database) == {active, erased}
        async with database.read() as session:
            assert (await session.scalars(select(WatchProgress.video_id))).all() == [kept]


async def users(database: Database) -> set[str]:
    async with database.read() as session:
        return set(await session.scalars(select(Viewer.user_id)))


class TestSqlite(RetentionContract):
    """A file."""


class TestPostgres(RetentionContract):
    """A server."""

    @pytest.fixture
    def database_url(self, postgres_server: PostgresServer, migrated: MigratedDatabases) -> Iterator[str]:
        with migrated.postgres(postgres_server) as url:
            yield url
