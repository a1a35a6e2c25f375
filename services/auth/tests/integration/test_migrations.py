"""Migrations of auth make exactly the tables that the code expects."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text

from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.testing.schema import schema_differences
from kit.testing.servers import PostgresServer
from services.auth.__main__ import MIGRATIONS
from services.auth.models import Base

MIGRATE = "import sys, pathlib; from kit.db.migrations import upgrade; upgrade(pathlib.Path(sys.argv[1]), sys.argv[2])"


class MigrationsContract:
    """Holds for every database; subclasses say where theirs is."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    async def test_migrated_schema_equals_models(self, url: str) -> None:
        for _ in range(2):
            await asyncio.to_thread(upgrade, MIGRATIONS, url)
        database = Database(url)
        assert await schema_differences(database, Base.metadata) == []
        await database.close()

    async def test_may_run_in_several_processes_and_threads_at_once(self, url: str) -> None:
        def in_a_process() -> None:
            done = subprocess.run(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", MIGRATE, str(MIGRATIONS), url], capture_output=True, check=False, text=True
            )
            assert done.returncode == 0, done.stderr

        async with asyncio.timeout(60):
            await asyncio.gather(
                asyncio.to_thread(in_a_process),
                asyncio.to_thread(in_a_process),
                *(asyncio.to_thread(upgrade, MIGRATIONS, url) for _ in range(3)),
            )
        database = Database(url)
        async with database.read() as session:
            assert len((await session.execute(text("SELECT version_num FROM alembic_version"))).all()) == 1
        assert await schema_differences(database, Base.metadata) == []
        await database.close()


class TestSqlite(MigrationsContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite+aiosqlite:///{tmp_path}/new/auth.db"


class TestPostgres(MigrationsContract):
    @pytest.fixture
    def url(self, postgres_server: PostgresServer) -> str:
        return postgres_server.create_database(f"auth_{uuid.uuid4().hex}")
