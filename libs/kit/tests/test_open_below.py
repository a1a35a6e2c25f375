"""Opening a file below a folder that others write to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kit.media import open_below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "films"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "film").write_bytes(b"film")
    return folder


def content(folder: Path, path: str) -> bytes:
    descriptor = open_below(folder, path)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def test_opens_a_file_in_folders(folder: Path) -> None:
    assert content(folder, "a/b/film") == b"film"


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert content(tmp_path / "link", "a/b/film") == b"film"


@pytest.mark.parametrize("path", ["link", "a/link", "out/secret", "a/b/up/secret", "a/inside/film"])
def test_no_link_is_followed(folder: Path, path: str) -> None:
    (folder / "link").symlink_to("../secret")
    (folder / "a" / "link").symlink_to(folder / "a" / "b" / "film")
    (folder / "out").symlink_to("..")
    (folder / "a" / "b" / "up").symlink_to("../../..")
    (folder / "a" / "inside").symlink_to("b")
    with pytest.raises(OSError, match=r"."):
        open_below(folder, path)


@pytest.mark.parametrize("path", ["none", "a/none/film", "a/b/film/more"])
def test_raises_for_missing_files(folder: Path, path: str) -> None:
    with pytest.raises(OSError, match=r"."):
        open_below(folder, path)


def test_nothing_stays_open(folder: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    for path in ("a/b/film", "a/none/film"):
        try:
            os.close(open_below(folder, path))
        except OSError:
            continue
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_opening_a_pipe_does_not_block(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    os.close(open_below(folder, "pipe"))
