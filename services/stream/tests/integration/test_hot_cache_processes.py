"""Several processes share a folder of hot copies, and are killed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.stream.hotcache.directory import CopyDirectory
from services.stream.tests.integration import hot_cache_process
from services.stream.tests.unit.hotcache.support import FILMS, MIB, copied, manifest_of, names, put

REPOSITORY = Path(__file__).parents[4]
TIME_LIMIT_SEC = 60


@contextmanager
def process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready, and killed at the end."""
    command = [sys.executable, hot_cache_process.__file__, *map(str, arguments)]
    folders = os.pathsep.join(str(REPOSITORY / folder) for folder in (".", "libs", "libs/protos"))
    environment = {**os.environ, "PYTHONPATH": folders}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as it:  # noqa: S603 - our own
        try:
            assert it.stdout is not None
            # What it logs comes on the same channel.
            assert any(line == "ready\n" for line in it.stdout)
            yield it
        finally:
            it.kill()


class Nas:
    """Films of known checksums."""

    def __init__(self, root: Path, size: int) -> None:
        root.mkdir()
        self.root = root
        self.size = size
        self.sums: dict[str, str] = {}
        for film in FILMS:
            content = os.urandom(size)
            (root / film).write_bytes(content)
            self.sums[film] = hashlib.sha256(content).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hot"


@pytest.fixture
def nas(tmp_path: Path) -> Nas:
    return Nas(tmp_path / "nas", MIB)


def all_whole(folder: CopyDirectory, nas: Nas) -> int:
    """How many copies there are, after a look at each byte of them."""
    copies = copied(folder)
    for film, copy in copies.items():
        descriptor = folder.open(copy)
        if descriptor is None:
            # Another process has evicted it since.
            continue
        content = os.pread(descriptor, nas.size + 1, 0)
        os.close(descriptor)
        assert hashlib.sha256(content).hexdigest() == nas.sums[film] == copy.manifest.sha256
    return len(copies)


def test_a_process_killed_at_any_moment_leaves_whole_copies_only(root: Path, nas: Nas) -> None:
    folder = CopyDirectory(root, 3 * MIB)
    chance = random.Random(4)
    cut_short = 0
    for _ in range(8):
        # Room for two of four: it copies and evicts all the time, 60 ms a copy.
        with process("promote", root, 3 * MIB, nas.root, 40 * MIB, *FILMS):
            time.sleep(0.05 + chance.random() * 0.3)
        all_whole(folder, nas)
        cut_short += any(name.endswith(".part") for name in names(root))
        folder.prepare()
        assert all(name.endswith(".copy") for name in names(root))
    # Otherwise it was not what the test is about.
    assert cut_short > 0
    assert all_whole(folder, nas) > 0


def test_processes_that_promote_at_a_time_keep_to_one_budget(root: Path, nas: Nas) -> None:
    folder = CopyDirectory(root, 3 * MIB)
    arguments = ("promote", root, 3 * MIB, nas.root, 40 * MIB, *FILMS)
    looks = most = 0
    seen: set[str] = set()
    with process(*arguments), process(*arguments):
        deadline = time.monotonic() + TIME_LIMIT_SEC
        while (looks < 200 or seen != set(FILMS)) and time.monotonic() < deadline:
            seen |= copied(folder).keys()
            all_whole(folder, nas)
            # While nothing is renamed to make room.
            with folder._space_lock():
                most = max(most, folder.used_bytes())
            looks += 1
    assert seen == set(FILMS)
    assert 2 * MIB <= most <= 0.95 * 3 * MIB


def test_what_another_process_reads_is_not_evicted_until_it_ends_or_dies(root: Path) -> None:
    folder = CopyDirectory(root, 10 * MIB)
    folder.prepare()
    first, second, third, fourth = FILMS
    for film in (first, second, third):
        put(folder, manifest_of(film, 3 * MIB))
    for age_sec, copy in enumerate(copied(folder).values()):
        os.utime(copy.path / "facts.json", (0, 1000 - age_sec))
    os.utime(copied(folder)[first].path / "facts.json", (0, 0))
    with process("read", root, first):
        part, evicted = folder.reserve(manifest_of(fourth, 6 * MIB))
        assert part is not None
        assert {each.manifest.video_id for each in evicted} == {second, third}
        part.abandon()
        put(folder, manifest_of(second, 3 * MIB))
    # Killed: the kernel has let go for it.
    part, evicted = folder.reserve(manifest_of(fourth, 6 * MIB))
    assert part is not None
    assert evicted[0].manifest.video_id == first
    part.abandon()


def test_only_one_of_two_processes_copies_a_film(root: Path, nas: Nas) -> None:
    with process("promote", root, 100 * MIB, nas.root, 2**16, FILMS[0]):
        deadline = time.monotonic() + TIME_LIMIT_SEC
        while not any(name.endswith(".part") for name in names(root)) and time.monotonic() < deadline:
            time.sleep(0.005)
        folder = CopyDirectory(root, 100 * MIB)
        folder.prepare()
        assert folder.reserve(manifest_of(FILMS[0], nas.size)) == (None, [])
    part, _ = folder.reserve(manifest_of(FILMS[0], nas.size))
    assert part is not None
    part.abandon()
