"""Fixtures of stream's tests."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kit.testing.databases import MigratedDatabases
from services.stream.__main__ import MIGRATIONS
from services.stream.tests.support import ServiceHarness, running


@pytest.fixture(scope="session", autouse=True)
def _light_collections() -> Iterator[None]:
    """What other tests have left in memory need not be looked through each time that garbage is collected here."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def never_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, a file is fresh until it changes."""
    monkeypatch.setattr("services.stream.storage.open_files.FRESH_SEC", 1e9)


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder whose name is short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="mq-") as folder:
        yield Path(folder)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """An empty media store."""
    root = tmp_path / "store"
    root.mkdir()
    return root


@pytest.fixture
async def harness(store: Path, sockets: Path) -> AsyncIterator[ServiceHarness]:
    """The running service."""
    async with running(store, sockets) as harness:
        yield harness


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> MigratedDatabases:
    return MigratedDatabases(MIGRATIONS, tmp_path_factory.mktemp("stream"))


@pytest.fixture
def database_url(migrated: MigratedDatabases, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own; contracts override it."""
    return migrated.sqlite(tmp_path / "stream.db")
