"""What several tests of progress need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.db.database import Database
from kit.testing.databases import MigratedDatabases
from services.progress.__main__ import MIGRATIONS
from services.progress.tests.fakes import FakeAccounts, FakeCatalog


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> MigratedDatabases:
    return MigratedDatabases(MIGRATIONS, tmp_path_factory.mktemp("progress"))


@pytest.fixture
def sqlite_url(migrated: MigratedDatabases, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    return migrated.sqlite(tmp_path / "progress.db")


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
