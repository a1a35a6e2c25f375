from __future__ import annotations

import errno
import stat
import time

import pytest

from loadtest.bench.slow_disk import SlowDisk


def test_there_is_one_file_in_one_folder() -> None:
    disk = SlowDisk("film.mp4", 1000, 0)
    assert stat.S_ISDIR(disk.getattr("/")["st_mode"])
    assert disk.getattr("/film.mp4")["st_size"] == 1000
    assert "film.mp4" in disk.readdir("/", 0)
    with pytest.raises(OSError, match="other") as refused:
        disk.getattr("/other")
    assert refused.value.errno == errno.ENOENT


def test_reads_are_slow_and_end_with_the_file() -> None:
    disk = SlowDisk("film.mp4", 1000, 0.05)
    started = time.monotonic()
    assert disk.read("/film.mp4", 600, 600, 0) == bytes(400)
    assert time.monotonic() - started >= 0.05
    assert disk.read("/film.mp4", 600, 2000, 0) == b""
