from __future__ import annotations

import ctypes
import resource
from pathlib import Path

import pytest

from loadtest.bench.resident import kept_resident


def locked_kib() -> int:
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmLck:"))
    return int(line.split()[1])


def test_a_file_is_locked_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(bytes(1 << 20))
    before = locked_kib()
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    assert soft == resource.RLIM_INFINITY or soft >= 1 << 20, "the least that Linux gives is more"
    with kept_resident(path) as is_kept:
        assert is_kept
        assert locked_kib() - before == 1024
    assert locked_kib() == before


def test_files_that_can_not_be_locked_are_measured_nevertheless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def __init__(self, name: None) -> None:
            self._system = real(name)
            self.mmap, self.munmap = self._system.mmap, self._system.munmap

        def mlock(self, *_of: object) -> int:
            return -1

    real = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", Refusing)
    path = tmp_path / "film"
    path.write_bytes(b"film")
    with kept_resident(path) as is_kept:
        assert not is_kept


def test_an_empty_file_has_nothing_to_keep(tmp_path: Path) -> None:
    (tmp_path / "film").touch()
    with kept_resident(tmp_path / "film") as is_kept:
        assert not is_kept
