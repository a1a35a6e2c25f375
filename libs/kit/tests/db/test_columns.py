"""Moments mean the same on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select
from sqlalchemy.exc import StatementError

from kit.db.columns import UtcDateTime
from kit.db.database import Database

metadata = MetaData()
moments = Table("moments", metadata, Column("id", Integer, primary_key=True), Column("at", UtcDateTime))

SEOUL = timezone(timedelta(hours=9))
EXACT = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)


class UtcDateTimeContract:
    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    async def database(self, url: str) -> AsyncIterator[Database]:
        database = Database(url)
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield database
        await database.close()

    @pytest.mark.parametrize(
        "moment",
        [EXACT, EXACT.astimezone(SEOUL), datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 1, tzinfo=SEOUL)],
    )
    async def test_reads_the_written_time_in_utc(self, database: Database, moment: datetime) -> None:
        async with database.write() as transaction:
            await transaction.session.execute(insert(moments).values(id=1, at=moment))
        async with database.read() as session:
            kept = (await session.execute(select(moments.c.at))).scalar_one()
        assert kept == moment
        assert kept.tzinfo is UTC

    async def test_reads_none_as_none(self, database: Database) -> None:
        async with database.write() as transaction:
            await transaction.session.execute(insert(moments).values(id=1, at=None))
        async with database.read() as session:
            assert (await session.execute(select(moments.c.at))).scalar_one() is None

    async def test_refuses_a_time_without_a_time_zone(self, database: Database) -> None:
        with pytest.raises(StatementError, match="needs a time zone"):
            async with database.write() as transaction:
                await transaction.session.execute(insert(moments).values(id=1, at=EXACT.replace(tzinfo=None)))

    async def test_compares_and_sorts_by_time_not_by_text(self, database: Database) -> None:
        later = (EXACT + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=-11)))
        async with database.write() as transaction:
            await transaction.session.execute(
                insert(moments), [{"id": 1, "at": later}, {"id": 2, "at": EXACT.astimezone(SEOUL)}]
            )
        async with database.read() as session:
            in_order = (await session.execute(select(moments.c.id).order_by(moments.c.at))).scalars().all()
            older = (await session.execute(select(moments.c.id).where(moments.c.at < later))).scalars().all()
            newest = (await session.execute(select(func.max(moments.c.at)))).scalar_one()
        assert in_order == [2, 1]
        assert older == [2]
        assert newest == later


class TestSqlite(UtcDateTimeContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(UtcDateTimeContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url
