"""What a service may rely on, whichever database it runs on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from kit.db.database import Database
from kit.db.failures import DatabaseUnavailableError
from kit.db.room import DiskFullError
from kit.errors import ErrorCode
from kit.events import outbox
from kit.events.envelope import Event
from kit.testing.databases import failing_writes
from kit.tests.conftest import Link

metadata = MetaData()
counters = Table("counters", metadata, Column("id", Integer, primary_key=True), Column("value", Integer))
parts = Table("parts", metadata, Column("counter_id", ForeignKey("counters.id"), primary_key=True))


def an_event() -> Event:
    return Event(type="points.granted", source="kit", subject="1", body=b"{}")


async def make_tables(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(outbox.metadata.create_all)


async def increment(database: Database) -> None:
    async with database.write() as transaction:
        statement = select(counters.c.value).where(counters.c.id == 1).with_for_update()
        value = (await transaction.session.execute(statement)).scalar_one()
        await transaction.session.execute(update(counters).where(counters.c.id == 1).values(value=value + 1))


async def add(database: Database, counter_id: int) -> None:
    async with database.write() as transaction:
        await transaction.session.execute(insert(counters).values(id=counter_id, value=0))


async def count(database: Database) -> int:
    async with database.read() as session:
        return (await session.execute(select(func.count()).select_from(counters))).scalar_one()


class DatabaseContract:
    """Holds for every database; subclasses say where theirs is."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    async def database(self, url: str) -> AsyncIterator[Database]:
        database = Database(url)
        await make_tables(database)
        yield database
        await database.close()

    @pytest.fixture
    async def other(self, url: str) -> AsyncIterator[Database]:
        """A second pool, as a second process has it."""
        database = Database(url)
        yield database
        await database.close()

    async def test_concurrent_read_modify_write_loses_nothing(self, database: Database, other: Database) -> None:
        async with database.write() as transaction:
            await transaction.session.execute(insert(counters).values(id=1, value=0))

        await asyncio.gather(*(increment(pool) for pool in [database, other] * 150))

        async with database.read() as session:
            assert (await session.execute(select(counters.c.value))).scalar_one() == 300

    async def test_an_error_rolls_everything_back(self, database: Database) -> None:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the error must pass through the block
            async with database.write() as transaction:
                await transaction.session.execute(insert(counters).values(id=1, value=0))
                await transaction.record(an_event())
                raise ZeroDivisionError
        assert await count(database) == 0
        async with database.read() as session:
            assert (await session.execute(select(outbox.outbox.c.id))).all() == []

    async def test_cancelled_write_is_rolled_back_and_blocks_no_other(self, database: Database) -> None:
        written = asyncio.Event()

        async def hang() -> None:
            async with database.write() as transaction:
                await transaction.session.execute(insert(counters).values(id=1, value=0))
                written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hang())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(60), database.write() as transaction:
            await transaction.session.execute(insert(counters).values(id=1, value=7))
        assert await count(database) == 1

    async def test_reading_refuses_to_write(self, database: Database) -> None:
        with pytest.raises(DBAPIError):
            async with database.read() as session:
                await session.execute(insert(counters).values(id=1, value=0))
        assert await count(database) == 0

    async def test_a_connection_that_read_may_write_afterwards(self, database: Database) -> None:
        assert await count(database) == 0
        async with database.write() as transaction:
            await transaction.session.execute(insert(counters).values(id=1, value=0))
        assert await count(database) == 1

    async def test_read_sees_one_snapshot(self, database: Database) -> None:
        statement = select(func.count()).select_from(counters)
        async with database.read() as session:
            before = (await session.execute(statement)).scalar_one()
            async with database.write() as transaction:
                await transaction.session.execute(insert(counters).values(id=1, value=0))
            assert (await session.execute(statement)).scalar_one() == before
        assert await count(database) == before + 1

    async def test_foreign_keys_hold(self, database: Database) -> None:
        with pytest.raises(IntegrityError):
            async with database.write() as transaction:
                await transaction.session.execute(insert(parts).values(counter_id=404))

    async def test_callbacks_come_after_the_commit_that_recorded(self, database: Database, other: Database) -> None:
        seen: list[str] = []
        database.on_recorded(lambda: seen.append("called"))
        async with database.write() as transaction:
            await transaction.record(an_event())
            assert seen == []
        assert seen == ["called"]
        async with other.read() as session:
            assert (await session.execute(select(func.count()).select_from(outbox.outbox))).scalar_one() == 1

    async def test_no_callback_without_an_event_or_a_commit(self, database: Database) -> None:
        seen: list[str] = []
        database.on_recorded(lambda: seen.append("called"))
        async with database.write() as transaction:
            await transaction.session.execute(insert(counters).values(id=1, value=0))
        with pytest.raises(IntegrityError):  # noqa: PT012 - the error must pass through the block
            async with database.write() as transaction:
                await transaction.record(an_event())
                await transaction.session.execute(insert(counters).values(id=1, value=0))
        assert seen == []

    async def test_pool_without_a_free_connection_is_answered_503(
        self, url: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kit.db.database.POOL_TIMEOUT_SEC", 0.05)
        monkeypatch.setattr("kit.db.database.POOL_SIZE", 1)
        monkeypatch.setattr("kit.db.database.POOL_OVERFLOW", 0)
        busy = Database(url)
        async with busy.write() as transaction:
            await transaction.session.execute(select(1))
            with pytest.raises(DatabaseUnavailableError) as caught:
                await increment(busy)
        assert caught.value.code == ErrorCode.SERVICE_UNAVAILABLE
        assert caught.value.details == {"dependency": "database"}
        assert int(caught.value.headers["Retry-After"]) > 0
        await busy.close()

    async def test_wrong_statement_stays_a_defect(self, database: Database) -> None:
        with pytest.raises(DBAPIError):
            async with database.read() as session:
                await session.execute(text("SELECT nothing FROM nowhere"))

    async def test_ping_answers(self, database: Database) -> None:
        await database.ping()


class TestSqlite(DatabaseContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    async def test_commits_outlive_a_power_cut(self, database: Database) -> None:
        async with database.write() as transaction:
            assert (await transaction.session.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
            assert (await transaction.session.execute(text("PRAGMA synchronous"))).scalar_one() == 2

    async def test_readers_do_not_wait_for_a_writer(self, database: Database) -> None:
        async with database.write() as transaction:
            await transaction.session.execute(insert(counters).values(id=1, value=0))
            async with asyncio.timeout(60):
                assert await count(database) == 0

    async def test_full_disk_is_answered_507_and_leaves_nothing(self, database: Database) -> None:
        async with database.write() as transaction:
            pages = (await transaction.session.execute(text("PRAGMA page_count"))).scalar_one()
            await transaction.session.execute(text(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(DatabaseUnavailableError) as caught:
            async with database.write() as transaction:
                await transaction.session.execute(
                    insert(counters), [{"id": each, "value": each} for each in range(100_000)]
                )
        assert caught.value.code == ErrorCode.STORAGE_FULL
        assert await count(database) == 0

    async def test_check_of_room_fails_after_a_write_that_found_none(self, database: Database) -> None:
        await database.check_room()
        with failing_writes(sqlite3.SQLITE_FULL), pytest.raises(DatabaseUnavailableError):
            await add(database, 1)
        with pytest.raises(DiskFullError):
            await database.check_room()
        await add(database, 1)
        await database.check_room()

    async def test_check_of_room_fails_before_the_disk_is_full(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kit.db.room.LEAST_BYTES", 1 << 62)
        with pytest.raises(DiskFullError):
            await database.check_room()
        # By now, an I/O error means the same.
        with failing_writes(sqlite3.SQLITE_IOERR), pytest.raises(DatabaseUnavailableError) as caught:
            await add(database, 1)
        assert caught.value.code == ErrorCode.STORAGE_FULL

    async def test_lock_of_another_process_is_answered_503(
        self, url: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kit.db.database.BUSY_TIMEOUT_SEC", 0.05)
        waiting = Database(url)
        async with database.write() as transaction:
            await transaction.session.execute(insert(counters).values(id=1, value=0))
            with pytest.raises(DatabaseUnavailableError) as caught:
                await increment(waiting)
        assert caught.value.code == ErrorCode.SERVICE_UNAVAILABLE
        await waiting.close()

    async def test_ping_raises_while_the_file_is_missing_and_recovers(self, tmp_path: Path) -> None:
        folder = tmp_path / "share"
        database = Database(f"sqlite+aiosqlite:///{folder}/kit.db.database")
        with pytest.raises(DBAPIError):
            await database.ping()
        folder.mkdir()
        await database.ping()
        await database.close()


class TestPostgres(DatabaseContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    async def test_ping_raises_while_the_server_is_away_and_recovers(
        self, linked_postgres_url: str, postgres_link: Link
    ) -> None:
        database = Database(linked_postgres_url)
        await make_tables(database)
        await database.ping()

        await postgres_link.cut()
        with pytest.raises(DBAPIError):
            await database.ping()
        with pytest.raises(DatabaseUnavailableError) as caught:
            await increment(database)
        assert caught.value.code == ErrorCode.SERVICE_UNAVAILABLE

        await postgres_link.mend()
        await database.ping()
        assert await count(database) == 0
        await database.close()

    async def test_broken_connections_of_the_pool_are_replaced(
        self, linked_postgres_url: str, postgres_link: Link
    ) -> None:
        database = Database(linked_postgres_url)
        await make_tables(database)
        await asyncio.gather(*(count(database) for _ in range(5)))

        await postgres_link.cut()
        await postgres_link.mend()

        assert await asyncio.gather(*(count(database) for _ in range(5))) == [0] * 5
        await database.close()
