from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from services.thumbnailer.tests.unit.films import Film

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of films that several tests use."""
    return tmp_path_factory.mktemp("library")


@pytest.fixture(scope="session")
def moov_first(library: Path) -> Path:
    return Film(sound="aac", container={"movflags": "faststart"}).save(library / "moov-first.mp4")


@pytest.fixture(scope="session")
def moov_last(library: Path) -> Path:
    return Film(sound="aac").save(library / "moov-last.mp4")


@pytest.fixture(scope="session")
def webm(library: Path) -> Path:
    return Film(seconds=4, codec="libvpx-vp9", sound="libopus").save(library / "film.webm")


@pytest.fixture
def artwork(tmp_path: Path) -> Path:
    """Return the folder for thumbnails."""
    folder = tmp_path / "artwork"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _nothing_left_in_temporary_space(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []
