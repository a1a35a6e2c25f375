"""A film, and the processes that build virtual files of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mp4 import worker_process
from mp4.tests.synthetic import Frame, Script, Shape, write
from services.stream.storage.virtual_file_cache import Identity

FRAMES = tuple(Frame(512, 0, 40, n % 25 == 0) for n in range(250))
FILM = write(Script(1000, (Shape("vide", 12800, FRAMES, (5,) * 50, stss=True),)))


class Source:
    """An open file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        facts = os.fstat(self._file.fileno())
        self.size = facts.st_size
        self.identity: Identity = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)

    def fileno(self) -> int:
        return self._file.fileno()


def children() -> set[int]:
    """The processes that this one has started to build something."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, fields = status.read_text().partition(" (")
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if fields.rpartition(") ")[2].split()[1] == str(os.getpid()) and b"mp4" in command:
            found.add(int(number))
    return found


def program(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Has the processes do something else."""
    monkeypatch.setattr(worker_process, "_PROGRAM", f"import os, signal, sys, time  # instead of mp4\n{text}")
