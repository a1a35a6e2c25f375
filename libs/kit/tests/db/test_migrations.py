"""Migrations: all or nothing, once, and without losing rows."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kit.db.database import Database
from kit.db.migrations import new_revision, upgrade

TEMPLATE = Path(__file__).parents[4] / "services" / "catalog" / "migrations" / "script.py.mako"
ENVIRONMENT = """
from kit.db.migrations import environment
from sqlalchemy import MetaData

environment(MetaData())
"""
FIRST = """
op.create_table("owners", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
op.create_table(
    "things",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("owner_id", sa.Integer, sa.ForeignKey("owners.id", ondelete="CASCADE"), nullable=False),
)
op.execute("INSERT INTO owners (id, name) VALUES (1, 'one')")
op.execute("INSERT INTO things (id, owner_id) VALUES (10, 1)")
"""
ALTERS_A_TABLE_THAT_OTHERS_REFER_TO = """
with op.batch_alter_table("owners") as table:
    table.alter_column("name", type_=sa.String(50), existing_type=sa.String(20), nullable=False)
"""
FAILS_HALFWAY = """
op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
op.execute("INSERT INTO nowhere VALUES (1)")
"""
OUTBOX = """
from kit.db.migrations import add_index_of_sent_events, create_messaging_tables

create_messaging_tables()
add_index_of_sent_events()
"""
ORPHANS = """
op.execute("DELETE FROM owners")
"""

ENVIRONMENT_OF_LATER_MODELS = """
import sqlalchemy as sa
from kit.db.columns import UtcDateTime
from kit.db.migrations import environment

metadata = sa.MetaData()
sa.Table(
    "owners",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(20)),
    sa.Column("weight", sa.Double),
    sa.Column("seen_at", UtcDateTime),
    sa.Column("rank", sa.Integer, nullable=False, server_default="7"),
)
environment(metadata)
"""
HAS_A_FLOAT = """
op.create_table("owners", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
op.add_column("owners", sa.Column("weight", sa.Float))
op.execute("INSERT INTO owners (id, name) VALUES (1, 'one')")
"""

History = Callable[..., Path]


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Makes a folder of migrations whose revisions do what they are given."""

    def make(*upgrades: str) -> Path:
        folder = tmp_path / "100 % migrations"
        versions = folder / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        (folder / "env.py").write_text(ENVIRONMENT)
        for number, body in enumerate(upgrades, 1):
            previous = f'"{number - 1}"' if number > 1 else None
            (versions / f"{number}.py").write_text(
                "import sqlalchemy as sa\nfrom alembic import op\n"
                f'revision = "{number}"\ndown_revision = {previous}\nbranch_labels = None\ndepends_on = None\n'
                f"def upgrade():\n{textwrap.indent(body, '    ')}"
            )
        return folder

    return make


async def migrate(folder: Path, url: str) -> None:
    await asyncio.to_thread(upgrade, folder, url)


async def answer(url: str, question: str) -> object:
    database = Database(url)
    async with database.read() as session:
        value: object = (await session.execute(text(question))).scalar_one()
    await database.close()
    return value


class MigrationsContract:
    """Holds for every database; subclasses say where theirs is."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    async def test_each_revision_runs_once(self, url: str, history: History) -> None:
        folder = history(FIRST)
        await migrate(folder, url)
        await migrate(folder, url)
        assert await answer(url, "SELECT count(*) FROM owners") == 1
        history(FIRST, ALTERS_A_TABLE_THAT_OTHERS_REFER_TO)
        await migrate(folder, url)
        assert await answer(url, "SELECT version_num FROM alembic_version") == "2"

    async def test_database_of_a_later_version_is_left_as_it_is(self, url: str, history: History) -> None:
        """After an upgrade that is taken back, the former version's containers start again."""
        folder = history(FIRST, ALTERS_A_TABLE_THAT_OTHERS_REFER_TO)
        await migrate(folder, url)
        (folder / "versions" / "2.py").unlink()
        await migrate(folder, url)
        assert await answer(url, "SELECT version_num FROM alembic_version") == "2"
        assert await answer(url, "SELECT count(*) FROM owners") == 1

    async def test_altering_a_table_keeps_the_rows_that_refer_to_it(self, url: str, history: History) -> None:
        await migrate(history(FIRST), url)
        await migrate(history(FIRST, ALTERS_A_TABLE_THAT_OTHERS_REFER_TO), url)
        assert await answer(url, "SELECT owner_id FROM things") == 1
        assert await answer(url, "SELECT name FROM owners") == "one"

    async def test_failed_revision_leaves_nothing(self, url: str, history: History) -> None:
        await migrate(history(FIRST), url)
        with pytest.raises(DBAPIError):
            await migrate(history(FIRST, FAILS_HALFWAY), url)
        assert await answer(url, "SELECT version_num FROM alembic_version") == "1"
        with pytest.raises(DBAPIError):
            await answer(url, "SELECT count(*) FROM half")

    async def test_revision_is_written_from_what_models_have_and_tables_lack(self, url: str, history: History) -> None:
        folder = history(HAS_A_FLOAT)
        (folder / "script.py.mako").write_text(TEMPLATE.read_text())
        (folder / "env.py").write_text(ENVIRONMENT_OF_LATER_MODELS)
        await migrate(folder, url)
        path = await asyncio.to_thread(new_revision, folder, "add_rank")
        assert path.name == "0002_add_rank.py"
        written = path.read_text()
        assert "DateTime(timezone=True)" in written
        assert "kit" not in written
        assert "weight" not in written
        await migrate(folder, url)
        assert await answer(url, "SELECT version_num FROM alembic_version") == "0002"
        assert await answer(url, "SELECT rank FROM owners WHERE seen_at IS NULL") == 7


class TestSqlite(MigrationsContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    async def test_refuses_a_revision_that_breaks_foreign_keys(self, url: str, history: History) -> None:
        await migrate(history(FIRST), url)
        with pytest.raises(RuntimeError, match="refer to nothing"):
            await migrate(history(FIRST, ORPHANS), url)
        assert await answer(url, "SELECT count(*) FROM owners") == 1

    async def test_creates_the_folder_of_the_database_file(self, tmp_path: Path, history: History) -> None:
        url = f"sqlite+aiosqlite:///{tmp_path}/a/b/kit.db.database"
        await migrate(history(FIRST), url)
        assert await answer(url, "SELECT count(*) FROM owners") == 1

    async def test_new_file_returns_what_is_free_and_old_one_stays(
        self, url: str, tmp_path: Path, history: History
    ) -> None:
        old = f"sqlite+aiosqlite:///{tmp_path / 'old.db'}"
        with contextlib.closing(sqlite3.connect(tmp_path / "old.db")) as connection:
            connection.execute("CREATE TABLE kept (id)")
        incremental = 2
        for each, expected in ((url, incremental), (old, 0)):
            await migrate(history(FIRST), each)
            assert await answer(each, "PRAGMA auto_vacuum") == expected


class TestPostgres(MigrationsContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    async def test_index_of_sent_events_is_created_outside_of_revisions_and_again_when_cut_off(
        self, url: str, history: History
    ) -> None:
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_outbox_sent')"
        await migrate(history(OUTBOX), url)
        assert await answer(url, valid) is True
        database = Database(url)
        async with database.engine.begin() as connection:
            await connection.execute(
                text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass('ix_outbox_sent')")
            )
        await database.close()
        await asyncio.gather(migrate(history(OUTBOX), url), migrate(history(OUTBOX), url))
        assert await answer(url, valid) is True
