"""A film, and virtual files of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mp4 import VirtualFile, worker_process
from mp4.worker_process import Builder
from services.stream.storage.virtual_file_cache import VirtualFiles
from services.stream.tests.support import until
from services.stream.tests.unit.storage.support import FILM, Source, children


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "film.mp4"
    path.write_bytes(FILM)
    return Source(path)


@pytest.fixture
async def files() -> AsyncIterator[VirtualFiles]:
    files = VirtualFiles()
    yield files
    files.close()
    await until(lambda: not children())


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The asked times of all that is built."""
    asked: list[int] = []
    run = Builder.build

    def noted(self: Builder, file: worker_process.Readable, size: int, start_ms: int) -> VirtualFile:
        asked.append(start_ms)
        return run(self, file, size, start_ms)

    monkeypatch.setattr(Builder, "build", noted)
    return asked
