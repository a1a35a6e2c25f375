from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from services.stream.hotcache.copy_writer import FILM, MANIFEST_FILE, Copy
from services.stream.hotcache.directory import CacheFullError, CopyDirectory
from services.stream.hotcache.manifest import BadManifestError, CopyManifest
from services.stream.tests.unit.hotcache.support import (
    FILMS,
    MIB,
    begin,
    content_of,
    copied,
    die,
    manifest_of,
    names,
    put,
)

ANN, BOB, CAT, DAN = FILMS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hot"


@pytest.fixture
def folder(root: Path) -> CopyDirectory:
    folder = CopyDirectory(root, 10 * MIB)
    folder.prepare()
    return folder


def used(copy: Copy, age_sec: float) -> None:
    moment = time.time() - age_sec
    os.utime(copy.path / MANIFEST_FILE, (moment, moment))


def read(folder: CopyDirectory, copy: Copy) -> bytes | None:
    descriptor = folder.open(copy)
    if descriptor is None:
        return None
    try:
        return os.pread(descriptor, copy.manifest.size + 1, 0)
    finally:
        os.close(descriptor)


def test_a_whole_copy_is_found_by_every_process_and_after_a_restart(root: Path, folder: CopyDirectory) -> None:
    manifest = manifest_of(ANN, MIB)
    copy = put(folder, manifest)
    other = CopyDirectory(root, 10 * MIB)
    other.prepare()
    assert copied(folder) == copied(other) == {ANN: copy}
    assert read(other, copy) == content_of(manifest)
    assert folder.reserve(manifest) == (None, [])


def test_a_copy_in_the_making_is_no_copy(root: Path, folder: CopyDirectory) -> None:
    manifest = manifest_of(ANN, MIB)
    part = begin(folder, manifest)
    part.write(0, content_of(manifest))
    assert copied(folder) == {}
    # No other process makes one of the same video meanwhile, nor clears it away.
    other = CopyDirectory(root, 10 * MIB)
    other.prepare()
    assert other.reserve(manifest) == (None, [])
    assert other.reserve(manifest_of(ANN, MIB, 2)) == (None, [])
    part.finish(manifest)
    assert copied(other).keys() == {ANN}


def test_what_a_dead_process_was_making_is_never_a_copy(root: Path, folder: CopyDirectory) -> None:
    manifest = manifest_of(ANN, MIB)
    part = begin(folder, manifest)
    part.write(0, content_of(manifest)[: MIB // 2])
    die(part)
    assert copied(folder) == {}
    assert folder.used_bytes() == MIB
    again = begin(folder, manifest)
    assert again.read(0, 16) == bytes(16)
    die(again)
    folder.sweep()
    assert names(root) == set()


def test_a_copy_given_up_leaves_nothing(root: Path, folder: CopyDirectory) -> None:
    part = begin(folder, manifest_of(ANN, MIB))
    part.abandon()
    assert names(root) == set()


def test_room_is_made_by_those_not_used_for_longest_down_to_the_low_water(folder: CopyDirectory) -> None:
    for age_sec, film in enumerate((ANN, BOB, CAT)):
        used(put(folder, manifest_of(film, 3 * MIB)), 100 - age_sec)
    folder.touch(copied(folder)[ANN])
    part, evicted = folder.reserve(manifest_of(DAN, MIB))
    assert part is not None
    # 9 MiB and 1 more are above 9.5; down to 8.5 takes one copy, of the film not used for longest.
    assert [each.manifest.video_id for each in evicted] == [BOB]
    assert evicted[0].unused_sec == pytest.approx(99, abs=5)
    part.abandon()
    assert copied(folder).keys() == {ANN, CAT}
    assert folder.used_bytes() == 6 * MIB


def test_evicts_nothing_below_the_high_water(folder: CopyDirectory) -> None:
    for film in (ANN, BOB, CAT):
        put(folder, manifest_of(film, 3 * MIB))
    assert folder.reserve(manifest_of(DAN, MIB // 2))[1] == []


def test_what_is_being_read_is_never_evicted(root: Path, folder: CopyDirectory) -> None:
    copies = [put(folder, manifest_of(film, 3 * MIB)) for film in (ANN, BOB, CAT)]
    for age_sec, copy in enumerate(copies):
        used(copy, 100 - age_sec)
    descriptor = folder.open(copies[0])
    assert descriptor is not None
    other = CopyDirectory(root, 10 * MIB)
    part, evicted = other.reserve(manifest_of(DAN, MIB))
    assert part is not None
    assert [each.manifest.video_id for each in evicted] == [BOB]
    part.abandon()
    # The reader has it open still, as if nothing had been.
    assert os.pread(descriptor, 3 * MIB, 0) == content_of(copies[0].manifest)
    os.close(descriptor)


def test_no_copy_goes_where_that_would_not_be_enough(root: Path, folder: CopyDirectory) -> None:
    copies = [put(folder, manifest_of(film, 3 * MIB)) for film in (ANN, BOB, CAT)]
    descriptor = folder.open(copies[0])
    assert descriptor is not None
    with pytest.raises(CacheFullError):
        folder.reserve(manifest_of(DAN, 7 * MIB))
    assert copied(folder).keys() == {ANN, BOB, CAT}
    assert folder.used_bytes() == 9 * MIB
    os.close(descriptor)
    assert not any(name.endswith(".part") for name in names(root))


def test_a_film_larger_than_the_budget_is_not_taken(folder: CopyDirectory) -> None:
    with pytest.raises(CacheFullError):
        folder.reserve(manifest_of(ANN, 10 * MIB))


def test_a_smaller_budget_is_kept_to_from_the_next_look_on(root: Path, folder: CopyDirectory) -> None:
    for age_sec, film in enumerate((ANN, BOB, CAT)):
        used(put(folder, manifest_of(film, 3 * MIB)), 100 - age_sec)
    smaller = CopyDirectory(root, 5 * MIB)
    assert [each.manifest.video_id for each in smaller.shrink()] == [ANN, BOB]
    assert smaller.used_bytes() == 3 * MIB
    assert smaller.shrink() == []


def test_a_copy_of_a_newer_state_takes_the_place_of_the_older_one(folder: CopyDirectory) -> None:
    old, new = manifest_of(ANN, MIB), manifest_of(ANN, MIB, 2)
    first = put(folder, old)
    second = put(folder, new)
    assert copied(folder) == {ANN: second}
    assert folder.open(first) is None
    assert folder.used_bytes() == MIB


def test_a_removed_copy_can_be_read_on_and_takes_room_until_then(root: Path, folder: CopyDirectory) -> None:
    copy = put(folder, manifest_of(ANN, MIB))
    descriptor = folder.open(copy)
    assert descriptor is not None
    folder.remove(copy)
    assert copied(folder) == {}
    assert folder.open(copy) is None
    folder.sweep()
    assert folder.used_bytes() == MIB
    assert os.pread(descriptor, MIB, 0) == content_of(copy.manifest)
    os.close(descriptor)
    folder.sweep()
    assert names(root) == set()


def test_a_copy_that_became_shorter_is_none(folder: CopyDirectory) -> None:
    copy = put(folder, manifest_of(ANN, MIB))
    os.truncate(copy.path / FILM, 1000)
    assert folder.open(copy) is None
    assert copied(folder) == {}


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b"[]", b'{"video_id": 1}'])
def test_what_has_no_facts_is_no_copy(folder: CopyDirectory, text: bytes) -> None:
    copy = put(folder, manifest_of(ANN, MIB))
    (copy.path / MANIFEST_FILE).write_bytes(text)
    assert copied(folder) == {}
    with pytest.raises(BadManifestError):
        CopyManifest.parse(text)
    folder.sweep()
    assert folder.used_bytes() == 0


def test_what_can_not_be_read_now_is_not_taken_for_damage(
    folder: CopyDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = put(folder, manifest_of(ANN, MIB))

    def fail(_: Path) -> bytes:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", fail)
        for look in (folder.sweep, folder.copies):
            with pytest.raises(OSError, match="Too many"):
                look()
    assert copied(folder) == {ANN: copy}


def test_files_of_others_are_left_alone(root: Path, folder: CopyDirectory) -> None:
    strangers = {
        "notes.txt",
        "lost+found",
        f"{ANN}.copy",
        f"{ANN}.part.bak",
        "x.trash",
        f"{BOB}.0123456789abcdeF.copy",
    }
    for name in strangers:
        (root / name).mkdir()
        (root / name / FILM).write_bytes(bytes(9 * MIB))
    copy = put(folder, manifest_of(ANN, 9 * MIB))
    (copy.path / "foreign").write_text("notes")
    assert folder.used_bytes() == 9 * MIB
    _, evicted = folder.reserve(manifest_of(BOB, 9 * MIB))
    assert [each.manifest.video_id for each in evicted] == [ANN]
    folder.sweep()
    assert names(root) >= strangers
    assert [path.read_text() for path in root.glob("*/foreign")] == ["notes"]


def test_facts_survive_what_a_newer_release_adds() -> None:
    manifest = manifest_of(ANN, MIB)
    assert CopyManifest.parse(manifest.dump()[:-1] + b', "new": 1}') == manifest


def test_every_change_of_the_source_changes_the_key() -> None:
    first = {"asset_id": BOB, "video_id": ANN, "version": 1, "state": "a", "size": 1, "modified_ns": 1}
    changes = ({"version": 2}, {"state": "b"}, {"size": 2}, {"modified_ns": 2}, {"modified_ns": None})
    keys = {CopyManifest(**{**first, **change}).key for change in ({}, *changes)}  # type: ignore[arg-type]
    assert len(keys) == 6
