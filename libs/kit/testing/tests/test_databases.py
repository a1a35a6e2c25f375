"""Copies of a migrated database have its tables, and are apart from one another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from kit.db.database import Database
from kit.testing.databases import MigratedDatabases
from kit.testing.servers import PostgresServer

ENVIRONMENT = """
from kit.db.migrations import environment
from sqlalchemy import MetaData

environment(MetaData())
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    with open({record!r}, "a") as record:
        record.write("migrated\\n")
    op.create_table("owners", sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.fixture(params=["sqlite", "postgres"])
def create(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENVIRONMENT)
    (tmp_path / "versions" / "1.py").write_text(REVISION.format(record=str(tmp_path / "record")))
    databases = MigratedDatabases(tmp_path, tmp_path)
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        with ExitStack() as opened:
            yield lambda: opened.enter_context(databases.postgres(server))
        return
    names = iter("abc")
    yield lambda: databases.sqlite(tmp_path / next(names))


async def test_copies_are_apart_and_migrated_once(create: Callable[[], str], tmp_path: Path) -> None:
    counts = []
    for url in [await asyncio.to_thread(create) for _ in range(3)]:
        database = Database(url)
        async with database.write() as transaction:
            counts.append((await transaction.session.execute(text("SELECT count(*) FROM owners"))).scalar_one())
            await transaction.session.execute(text("INSERT INTO owners (id) VALUES (1)"))
        await database.close()
    assert counts == [0, 0, 0]
    assert (tmp_path / "record").read_text() == "migrated\n"
