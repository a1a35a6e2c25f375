"""The media store: nothing leaves it, and files are there completely or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit import media
from kit.media import InvalidReferenceError, MediaStore

GOOD_SEGMENT = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    store = MediaStore(tmp_path / "media")
    store.prepare()
    return store


def collect(store: MediaStore, name: str, content: bytes = b"film") -> Path:
    path = store.incoming(name)
    path.write_bytes(content)
    return path


@given(st.lists(GOOD_SEGMENT, min_size=1, max_size=5))
def test_a_reference_names_a_place_below_the_root(segments: list[str]) -> None:
    root = Path("/srv/media")
    assert MediaStore(root).path("/".join(segments)) == root.joinpath(*segments)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["..", ".", "", "a", "%2e%2e", "\\", "\0", "\n", "~"])).map("/".join)
)
@example("../outside")
@example("videos/../../outside")
@example("/etc/passwd")
@example("videos//x")
@example("videos/x/")
@example("videos/x\n")
@example("videos/.hidden")
@example("videos/a\0b")
@example("C:\\x")
@example("a" * 129)
def test_any_other_reference_is_refused(reference: str) -> None:
    store = MediaStore(Path("/srv/media"))
    if all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", segment) for segment in reference.split("/")):
        assert Path(os.path.normpath(store.path(reference))).is_relative_to("/srv/media")
    else:
        with pytest.raises(InvalidReferenceError):
            store.path(reference)


@pytest.mark.parametrize("name", ["../x", "..", "", "/x", "a b"])
def test_refuses_bad_names_of_incoming_files(store: MediaStore, name: str) -> None:
    with pytest.raises(InvalidReferenceError):
        store.incoming(name)


def test_a_folder_is_a_store_only_once_it_is_prepared(tmp_path: Path) -> None:
    store = MediaStore(tmp_path)
    assert not store.is_present()
    with pytest.raises(FileNotFoundError, match="is it mounted"):
        store.verify()
    store.prepare()
    store.prepare()
    assert store.is_present()
    store.verify()


def test_adopting_moves_the_file_and_leaves_nothing_behind(store: MediaStore) -> None:
    whole = collect(store, "u1")
    store.adopt(whole, "videos/v1/source")
    assert store.path("videos/v1/source").read_bytes() == b"film"
    assert not whole.exists()


def test_adopting_replaces_what_was_there_at_once(store: MediaStore) -> None:
    store.adopt(collect(store, "u1", b"old"), "videos/v1/thumbnail.jpg")
    with store.path("videos/v1/thumbnail.jpg").open("rb") as reader:
        store.adopt(collect(store, "u2", b"new"), "videos/v1/thumbnail.jpg")
        assert reader.read() == b"old"
    assert store.path("videos/v1/thumbnail.jpg").read_bytes() == b"new"


def test_failed_adoption_changes_nothing(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.adopt(collect(store, "u1", b"old"), "videos/v1/source")
    whole = collect(store, "u2", b"new")

    def full(_self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            store.adopt(whole, "videos/v1/source")
    assert store.path("videos/v1/source").read_bytes() == b"old"
    assert whole.read_bytes() == b"new"


def test_each_folder_that_may_be_new_is_synced(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(media, "sync_folder", synced.append)
    store.adopt(collect(store, "u1"), "videos/v1/storyboard/0.jpg")
    assert synced == [store.root / "videos/v1/storyboard", store.root / "videos/v1", store.root / "videos", store.root]


def test_adopting_to_a_bad_reference_keeps_the_file(store: MediaStore) -> None:
    whole = collect(store, "u1")
    with pytest.raises(InvalidReferenceError):
        store.adopt(whole, "../outside")
    assert whole.exists()


def test_removes_files_and_folders_and_accepts_missing_ones(store: MediaStore) -> None:
    store.adopt(collect(store, "u1"), "videos/v1/source")
    store.adopt(collect(store, "u2"), "videos/v1/storyboard/0.jpg")
    store.remove("videos/v1/source")
    assert not store.path("videos/v1/source").exists()
    store.remove("videos/v1")
    assert not store.path("videos/v1").exists()
    store.remove("videos/v1")
    store.remove("videos/v1/source")
    assert store.path("videos").is_dir()


def test_removing_a_link_leaves_what_it_points_to(store: MediaStore, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "film.mp4").write_bytes(b"film")
    store.path("videos").mkdir()
    store.path("videos/v1").symlink_to(archive)
    store.remove("videos/v1")
    assert not store.path("videos/v1").is_symlink()
    assert (archive / "film.mp4").exists()


def test_removes_the_rest_while_another_process_removes_too(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.adopt(collect(store, "u1"), "videos/v1/source")
    remove_tree = shutil.rmtree
    calls: list[Path] = []

    def first_too_late(path: Path) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise FileNotFoundError(path / "gone")
        remove_tree(path)

    monkeypatch.setattr(shutil, "rmtree", first_too_late)
    store.remove("videos/v1")
    assert not store.path("videos/v1").exists()


def test_raises_when_a_folder_can_not_be_removed(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.adopt(collect(store, "u1"), "videos/v1/source")

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refused)
    with pytest.raises(PermissionError):
        store.remove("videos/v1")


def test_clearing_takes_old_files_only(store: MediaStore) -> None:
    for name, age in (("old", 1000), ("young", 3000)):
        os.utime(collect(store, name), (age, age))
    store.incoming("folder").mkdir()
    os.utime(store.incoming("folder"), (1000, 1000))
    assert store.clear_incoming(older_than=2000) == ["old"]
    assert sorted(path.name for path in store.incoming("old").parent.iterdir()) == ["folder", "young"]
    assert store.clear_incoming(older_than=2000) == []


def listing_that_is_out_of_date(victim: Path) -> object:
    """`os.scandir`, but the victim is gone by the time that its entry is looked at."""
    scan = os.scandir

    def scandir(place: Path) -> Iterator[os.DirEntry[str]]:
        entries = list(scan(place))
        victim.rmdir() if victim.is_dir() else victim.unlink()
        return iter(entries)

    return scandir


def test_clearing_skips_a_file_that_is_adopted_meanwhile(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        os.utime(collect(store, name), (1000, 1000))
    monkeypatch.setattr(os, "scandir", listing_that_is_out_of_date(store.incoming("b")))
    assert sorted(store.clear_incoming(older_than=2000)) == ["a", "c"]


def test_folders_are_listed_with_their_last_change(store: MediaStore) -> None:
    assert list(store.folders("videos")) == []
    store.adopt(collect(store, "u1"), "videos/v1/source")
    os.utime(store.path("videos/v1"), (1000, 1000))
    store.path("videos/stray-file").write_bytes(b"")
    store.path("videos/link").symlink_to(store.path("videos/v1"))
    assert list(store.folders("videos")) == [("v1", 1000.0)]


def test_listing_skips_a_folder_that_is_removed_meanwhile(store: MediaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        store.path(f"videos/{name}").mkdir(parents=True)
    monkeypatch.setattr(os, "scandir", listing_that_is_out_of_date(store.path("videos/b")))
    assert sorted(name for name, _ in store.folders("videos")) == ["a", "c"]
