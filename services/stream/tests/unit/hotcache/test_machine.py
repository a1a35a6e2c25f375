"""Does whatever comes to mind to a folder of copies, from two processes that die at any time."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from kit.testing.depth import cases
from services.stream.hotcache.copy_writer import FILM, MANIFEST_FILE, Copy, CopyWriter
from services.stream.hotcache.directory import HIGH_WATER, CacheFullError, CopyDirectory
from services.stream.hotcache.manifest import CopyManifest
from services.stream.tests.unit.hotcache.support import FILMS, content_of, copied, die, manifest_of, names

BUDGET = 6_000
PROCESSES = (0, 1)

processes = st.sampled_from(PROCESSES)
films = st.sampled_from(FILMS)
versions = st.integers(1, 3)


def state_of(video_id: str, version: int) -> CopyManifest:
    """Each state of each film has a size of its own; some are larger than the budget."""
    return manifest_of(video_id, (FILMS.index(video_id) + 1) * 900 * version, version)


@dataclass(eq=False)
class Reader:
    """A process that has a copy open."""

    process: int
    copy: Copy
    descriptor: int


class FolderMachine(RuleBasedStateMachine):
    """The folder, and what must be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.stranger = self.root / "foreign.copy"
        self.stranger.write_bytes(bytes(BUDGET))
        self.folders = {process: CopyDirectory(self.root, BUDGET) for process in PROCESSES}
        self.folders[0].prepare()
        self.copies: dict[str, Copy] = {}
        self.parts: dict[str, tuple[int, CopyWriter]] = {}
        self.readers: list[Reader] = []

    def teardown(self) -> None:
        for reader in self.readers:
            os.close(reader.descriptor)
        for _, part in self.parts.values():
            die(part)
        # When all are gone, one look leaves whole copies, the stranger, and nothing else.
        self.folders[0].sweep()
        assert names(self.root) == {self.stranger.name, *(copy.path.name for copy in self.copies.values())}
        shutil.rmtree(self.root)

    @rule(process=processes, video_id=films, version=versions)
    def begin(self, process: int, video_id: str, version: int) -> None:
        manifest = state_of(video_id, version)
        before = self.folders[process].used_bytes()
        held = {reader.copy for reader in self.readers}
        try:
            part, evicted = self.folders[process].reserve(manifest)
        except CacheFullError:
            free = sum(copy.manifest.size for copy in self.copies.values() if copy not in held)
            dead = sum(self.size(name) for name in names(self.root) if name == f"{video_id}.part")
            assert before - dead + manifest.size - free > HIGH_WATER * BUDGET
            assert video_id not in self.parts
            return
        exists = video_id in self.copies and self.copies[video_id].manifest == manifest
        assert (part is None) == (exists or video_id in self.parts)
        for each in evicted:
            assert self.copies.pop(each.manifest.video_id) not in held
        if part:
            self.parts[video_id] = process, part

    @rule(video_id=films, fraction=st.floats(0, 1))
    def write_some(self, video_id: str, fraction: float) -> None:
        if video_id in self.parts:
            _, part = self.parts[video_id]
            part.write(0, content_of(part.manifest)[: int(part.manifest.size * fraction)])

    @rule(video_id=films)
    def finish(self, video_id: str) -> None:
        if video_id in self.parts:
            _, part = self.parts.pop(video_id)
            part.write(0, content_of(part.manifest))
            part.sync()
            self.copies[video_id] = part.finish(part.manifest)

    @rule(video_id=films)
    def give_up(self, video_id: str) -> None:
        if video_id in self.parts:
            self.parts.pop(video_id)[1].abandon()

    @rule(process=processes)
    def kill(self, process: int) -> None:
        for video_id, (owner, part) in list(self.parts.items()):
            if owner == process:
                die(part)
                del self.parts[video_id]
        for reader in [each for each in self.readers if each.process == process]:
            self.close(reader)

    @rule(process=processes)
    def restart(self, process: int) -> None:
        self.kill(process)
        self.folders[process] = CopyDirectory(self.root, BUDGET)
        self.folders[process].prepare()

    @rule(process=processes, video_id=films)
    def open(self, process: int, video_id: str) -> None:
        copy = copied(self.folders[process]).get(video_id)
        assert copy == self.copies.get(video_id)
        if copy:
            descriptor = self.folders[process].open(copy)
            assert descriptor is not None
            self.folders[process].touch(copy)
            self.readers.append(Reader(process, copy, descriptor))

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.close(data.draw(st.sampled_from(self.readers)))

    @rule(process=processes, video_id=films)
    def remove(self, process: int, video_id: str) -> None:
        if copy := self.copies.pop(video_id, None):
            self.folders[process].remove(copy)
            assert self.folders[1 - process].open(copy) is None

    @rule(video_id=films, name=st.sampled_from([FILM, MANIFEST_FILE]), process=processes)
    def damage(self, video_id: str, name: str, process: int) -> None:
        in_use = any(reader.copy.manifest.video_id == video_id for reader in self.readers)
        if not in_use and (copy := self.copies.pop(video_id, None)):
            os.truncate(copy.path / name, copy.manifest.size // 2 if name == FILM else 3)
            self.folders[process].sweep()

    @rule(process=processes)
    def sweep(self, process: int) -> None:
        self.folders[process].sweep()

    @rule(process=processes)
    def shrink(self, process: int) -> None:
        assert self.folders[process].shrink() == []

    @invariant()
    def only_whole_copies_are_found(self) -> None:
        assert copied(self.folders[0]) == copied(self.folders[1]) == self.copies
        for copy in self.copies.values():
            assert (copy.path / FILM).read_bytes() == content_of(copy.manifest)

    @invariant()
    def what_is_read_stays_as_it_is_and_counts(self) -> None:
        for reader in self.readers:
            size = reader.copy.manifest.size
            assert os.pread(reader.descriptor, size + 1, 0) == content_of(reader.copy.manifest)
            assert os.fstat(reader.descriptor).st_nlink == 1

    @invariant()
    def the_budget_holds(self) -> None:
        used = sum(film.stat().st_size for film in self.root.glob(f"*/{FILM}"))
        assert self.folders[0].used_bytes() == used <= HIGH_WATER * BUDGET

    @invariant()
    def strangers_are_left_alone(self) -> None:
        assert self.stranger.stat().st_size == BUDGET

    def close(self, reader: Reader) -> None:
        os.close(reader.descriptor)
        self.readers.remove(reader)

    def size(self, name: str) -> int:
        film = self.root / name / FILM
        return film.stat().st_size if film.exists() else 0


def test_whatever_is_done_no_half_copy_is_found_and_nothing_is_taken_from_a_reader() -> None:
    checked = settings(
        max_examples=cases(quick=40, deep=1_000),
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(FolderMachine, settings=checked)
