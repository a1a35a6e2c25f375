"""Databases of auth's tests, migrated once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from kit.db.database import Database
from kit.testing.databases import MigratedDatabases
from kit.testing.servers import PostgresServer
from services.auth.__main__ import MIGRATIONS
from services.auth.tests.support import Auth, Clock, StartAuth, an_auth


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> MigratedDatabases:
    return MigratedDatabases(MIGRATIONS, tmp_path_factory.mktemp("auth"))


@pytest.fixture
def sqlite_url(migrated: MigratedDatabases, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    return migrated.sqlite(tmp_path / "auth.db")


@pytest.fixture
def postgres_url(migrated: MigratedDatabases, postgres_server: PostgresServer) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own."""
    with migrated.postgres(postgres_server) as url:
        yield url


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The database under test; contracts override it."""
    return sqlite_url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A look into the database under test, past the service."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def clock() -> Clock:
    """The time as the service under test sees it."""
    return Clock()


@pytest.fixture
def start_auth(database_url: str, tmp_path: Path, clock: Clock) -> StartAuth:
    """Starts a service with settings of one's own: `async with start_auth(registration="open") as auth`."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[Auth]:
        async with an_auth(tmp_path, clock, {"database_url": database_url, **settings}) as auth:
            yield auth

    return start


@pytest.fixture
async def auth(start_auth: StartAuth) -> AsyncIterator[Auth]:
    """A service with an administrator, where people may register at once."""
    async with start_auth(registration="open") as auth:
        yield auth


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What bcrypt was asked to compare with, one entry a time."""
    targets: list[bytes] = []
    check = bcrypt.checkpw

    def note(password: bytes, target: bytes) -> bool:
        targets.append(target)
        return check(password, target)

    with monkeypatch.context() as patch:
        patch.setattr(bcrypt, "checkpw", note)
        yield targets
