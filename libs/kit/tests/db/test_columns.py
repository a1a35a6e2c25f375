"""Moments mean the same on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.exc import StatementError

from kit.db.columns import UtcDateTime, among
from kit.db.database import Database

metadata = MetaData()
names = Table("names", metadata, Column("name", String(20), primary_key=True))
moments = Table("moments", metadata, Column("id", Integer, primary_key=True), Column("at", UtcDateTime))

SEOUL = timezone(timedelta(hours=9))
EXACT = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)


class ColumnContract:
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

    @pytest.mark.parametrize("wanted", [[], ["a"], ["b", "none", "가'\"{,}\\"], [f"{n}" for n in range(3000)]])
    async def test_finds_texts_among_any_number(self, database: Database, wanted: list[str]) -> None:
        there = ["a", "b", "가'\"{,}\\", "2999"]
        async with database.write() as transaction:
            await transaction.session.execute(insert(names), [{"name": name} for name in there])
        statement = select(names.c.name).where(among(names.c.name, "wanted", is_sqlite=database.is_sqlite))
        async with database.read() as session:
            found = (await session.execute(statement, {"wanted": wanted})).scalars().all()
        assert set(found) == set(there) & set(wanted)


class TestSqlite(ColumnContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(ColumnContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url
