"""Fixtures of stream's tests."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.stream.tests.support import Stage, running


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
async def stage(store: Path, sockets: Path) -> AsyncIterator[Stage]:
    """The running service."""
    async with running(store, sockets) as stage:
        yield stage
