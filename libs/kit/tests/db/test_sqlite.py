"""Connections to SQLite that cross to their thread once a statement."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiosqlite import Connection
from sqlalchemy import text

from kit.db.database import Database
from kit.db.migrations import _prepare_file


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}")
    async with database.write() as transaction:
        await transaction.session.execute(text("CREATE TABLE numbers (value INTEGER PRIMARY KEY)"))
        values = [{"value": number} for number in range(300)]
        await transaction.session.execute(text("INSERT INTO numbers VALUES (:value)"), values)
    yield database
    await database.close()


async def test_crosses_once_a_statement(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    crossings = 0
    execute: Any = Connection._execute

    async def counted(self: Connection, function: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal crossings
        crossings += 1
        return await execute(self, function, *arguments, **named)

    async with database.read() as session:
        await session.execute(text("SELECT 1"))
    monkeypatch.setattr(Connection, "_execute", counted)
    async with database.read() as session:
        for _ in range(3):
            await session.execute(text("SELECT value FROM numbers"))
    # The statements, BEGIN and the end of the transaction; the pool resets a connection that it gets back.
    assert crossings <= 3 + 3


async def test_reads_all_rows_also_when_they_are_streamed(database: Database) -> None:
    async with database.read() as session:
        assert len((await session.execute(text("SELECT value FROM numbers"))).all()) == 300
        streamed = await session.stream(text("SELECT value FROM numbers ORDER BY value"))
        assert (await streamed.fetchone()) == (0,)
        assert [row[0] for row in await streamed.fetchmany(2)] == [1, 2]
        assert len(await streamed.fetchall()) == 297


async def test_says_how_many_rows_changed(database: Database) -> None:
    async with database.write() as transaction:
        changed: Any = await transaction.session.execute(text("DELETE FROM numbers WHERE value >= 298"))
        assert changed.rowcount == 2
        kept = await transaction.session.execute(text("DELETE FROM numbers WHERE value = 1 RETURNING value"))
        assert kept.all() == [(1,)]


async def test_maintenance_returns_free_pages_and_makes_statistics(tmp_path: Path) -> None:
    path = tmp_path / "shrinks.db"
    _prepare_file(path)
    database = Database(f"sqlite+aiosqlite:///{path}")
    async with database.write() as transaction:
        await transaction.session.execute(text("CREATE TABLE films (id INTEGER PRIMARY KEY, tag TEXT)"))
        await transaction.session.execute(text("CREATE INDEX by_tag ON films (tag)"))
        rows = [{"id": number, "tag": "x" * 1000 + str(number % 3)} for number in range(2000)]
        await transaction.session.execute(text("INSERT INTO films VALUES (:id, :tag)"), rows)
    async with database.write() as transaction:
        await transaction.session.execute(text("DELETE FROM films WHERE id >= 100"))
    async with database.read() as session:
        # A query makes SQLite notice that it lacks the index's statistics.
        await session.execute(text("SELECT id FROM films WHERE tag = 'x'"))
        before = (await session.execute(text("PRAGMA page_count"))).scalar_one()
    await database.maintain()
    async with database.read() as session:
        assert (await session.execute(text("PRAGMA page_count"))).scalar_one() < before / 5
        assert (await session.execute(text("PRAGMA freelist_count"))).scalar_one() == 0
    await database.close()
