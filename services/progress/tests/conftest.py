"""What several tests of progress need."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.db.database import Database
from kit.db.migrations import upgrade
from services.progress.__main__ import MIGRATIONS
from services.progress.tests.fakes import FakeAccounts, FakeCatalog


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite database, to be copied."""
    path = tmp_path_factory.mktemp("progress") / "progress.db"
    upgrade(MIGRATIONS, f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of one's own."""
    path = tmp_path / "progress.db"
    shutil.copy(migrated_file, path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The database under test; contracts override it."""
    return sqlite_url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The database under test, open."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def catalog() -> FakeCatalog:
    """A catalog with nothing in it yet."""
    return FakeCatalog()


@pytest.fixture
def accounts() -> FakeAccounts:
    """An auth service without accounts."""
    return FakeAccounts()
