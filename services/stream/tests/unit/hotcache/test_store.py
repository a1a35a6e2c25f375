from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kit.errors import ApiError, ErrorCode
from kit.ids import new_id
from mp4 import Structure
from services.stream.delivery.representation import Representation
from services.stream.domain import Source
from services.stream.hotcache import CopyDirectory, HotStore, Janitor, Promoter, copier, janitor, promoter, store
from services.stream.hotcache.copy_writer import Copy
from services.stream.hotcache.store import HotFile
from services.stream.storage.local import own_folder
from services.stream.storage.port import StoredFile, Tier
from services.stream.storage.virtual_file_cache import File
from services.stream.tests.support import a_source, asset_of, open_below, until
from services.stream.tests.unit.hotcache.support import FILMS, MIB, names

ANN, BOB, *_ = FILMS
FAST = 10**12


class Originals:
    """A store that can be taken away, or hang."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_away = False
        self.opened = 0
        self._store = own_folder(root, 2)

    async def open(self, source: Source) -> StoredFile:
        self.opened += 1
        await self.answers.wait()
        if self.is_away:
            raise OSError("stale file handle")
        return await self._store.open(source)

    async def ping(self) -> None:
        await self._store.ping()

    def close(self) -> None:
        self._store.close()


class Bench:
    """A hot store, what is behind it and what feeds it."""

    def __init__(self, folder: Path, budget: int = 100 * MIB) -> None:
        self.hot_root, self.root = folder / "hot", folder / "nas"
        self.root.mkdir(exist_ok=True)
        self.originals = Originals(self.root)
        self.folder = CopyDirectory(self.hot_root, budget)
        self.store = HotStore(self.originals, self.folder, is_deleted=lambda _: self.is_mounted)
        self.is_mounted = True
        self.sources: dict[str, Source] = {}
        self.views: dict[str, int] = {}
        self.asked: list[list[str]] = []
        self.released: list[str] = []
        self.store.on_release = self.released.append
        self.promoter = Promoter(self.store, self.find, self.count, min_views=5, bytes_per_sec=FAST)
        self.keeper = Janitor(self.store, self.find)

    async def find(self, video_id: str) -> Source:
        if video_id not in self.sources:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return self.sources[video_id]

    async def count(self, video_ids: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(list(video_ids))
        return self.views

    def film(self, video_id: str, content: bytes, *, views: int = 5, version: int = 1) -> Source:
        """Puts a film on the store, and tells of it."""
        (self.root / video_id).write_bytes(content)
        self.views[video_id] = views
        source = self.sources[video_id] = a_source(video_id=video_id, reference=video_id, version=version)
        return source

    async def promoted(self, video_id: str, content: bytes) -> Source:
        """A film with a hot copy."""
        source = self.film(video_id, content)
        assert (await self.store.open(source)).tier == "nas"
        await self.promoter.promote_some()
        assert (await self.store.open(source)).tier == "ssd"
        return source


def copied(hot: HotStore) -> set[str]:
    """Return the videos that have a copy."""
    return {copy.manifest.video_id for copy in hot.copies.values()}


async def emptied(bench: Bench) -> bool:
    """Whether nothing is left in the folder once the last reader has let go."""
    await until(lambda: open_below(bench.hot_root) == [])
    await bench.store.refresh()
    return names(bench.hot_root) == set()


async def content(file: StoredFile) -> bytes:
    return b"".join([block async for block in file.blocks(0, file.size)])


def etag(source: Source, file: StoredFile) -> str:
    return Representation(source, file).validators().etag


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.store.prepare()
    yield bench
    bench.store.close()


async def test_a_film_watched_often_enough_comes_from_the_copy_with_the_same_bytes_and_tag(bench: Bench) -> None:
    film = os.urandom(3 * MIB + 17)
    source = bench.film(ANN, film, views=4)
    original = await bench.store.open(source)
    await bench.promoter.promote_some()
    assert (await bench.store.open(source)).tier == "nas"
    bench.views[ANN] = 5
    with capture_logs() as logs:
        await bench.promoter.promote_some()
    copy = await bench.store.open(source)
    assert copy.tier == "ssd"
    assert (await content(copy), copy.size) == (film, len(film))
    assert etag(source, copy) == etag(source, original)
    assert (
        Representation(source, copy).validators().last_modified
        == Representation(source, original).validators().last_modified
    )
    (line,) = (each for each in logs if each["event"] == "hot_cache_promoted")
    assert (line["content_id"], line["bytes"], line["views"]) == (ANN, len(film), 5)
    assert line["seconds"] >= 0


async def test_only_what_was_asked_for_is_promoted_and_the_most_watched_first(bench: Bench) -> None:
    for video_id, views in zip(FILMS, (5, 9, 7, 100), strict=True):
        bench.film(video_id, os.urandom(1000), views=views)
    for video_id in FILMS[:3]:
        await bench.store.open(bench.sources[video_id])
    with capture_logs() as logs:
        await bench.promoter.promote_some()
    lines = [each["content_id"] for each in logs if each["event"] == "hot_cache_promoted"]
    assert lines == [FILMS[1], FILMS[2], FILMS[0]]
    await bench.promoter.promote_some()
    assert len(bench.asked) == 1


async def test_the_views_of_many_films_are_asked_for_in_portions(bench: Bench) -> None:
    films = [new_id() for _ in range(promoter.BATCH + 1)]
    for video_id in films:
        await bench.store.open(bench.film(video_id, b"film", views=0))
    bench.views[films[0]] = 5
    await bench.promoter.promote_some()
    assert [len(each) for each in bench.asked] == [promoter.BATCH, 1]
    assert copied(bench.store) == {films[0]}


async def test_with_the_store_taken_away_a_promoted_film_plays_on(bench: Bench) -> None:
    film = os.urandom(MIB)
    source = await bench.promoted(ANN, film)
    tag = etag(source, await bench.store.open(source))
    other = bench.film(BOB, b"cold")
    with capture_logs() as logs:
        bench.originals.is_away = True
        for _ in range(2):
            copy = await bench.store.open(source)
            assert (copy.tier, await content(copy), etag(source, copy)) == ("ssd", film, tag)
        with pytest.raises(OSError, match="stale"):
            await bench.store.open(other)
        bench.originals.is_away = False
        assert (await bench.store.open(source)).tier == "ssd"
    assert [each["event"] for each in logs] == ["hot_cache_store_away", "hot_cache_store_back"]


async def test_an_empty_mount_point_is_no_deletion_but_a_film_missing_from_a_store_is(bench: Bench) -> None:
    source = await bench.promoted(ANN, b"film")
    (bench.root / ANN).unlink()
    bench.is_mounted = False
    assert (await bench.store.open(source)).tier == "ssd"
    bench.is_mounted = True
    with pytest.raises(FileNotFoundError):
        await bench.store.open(source)
    assert await emptied(bench)


async def test_a_store_that_hangs_is_waited_for_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    source = await bench.promoted(ANN, b"film")
    monkeypatch.setattr(store, "PATIENCE_SEC", 0.01)
    bench.originals.answers.clear()
    before = bench.originals.opened
    for _ in range(5):
        assert (await bench.store.open(source)).tier == "ssd"
    assert bench.originals.opened == before + 1
    # What it says when it comes back counts.
    bench.film(ANN, b"another")
    bench.originals.answers.set()
    await until(lambda: asset_of(ANN) not in bench.store.copies)


async def test_who_asks_while_the_store_is_being_asked_waits_for_its_answer_too(bench: Bench) -> None:
    source = await bench.promoted(ANN, b"first film")
    bench.originals.answers.clear()
    asking = [asyncio.ensure_future(bench.store.open(source)) for _ in range(3)]
    await until(lambda: bench.store._checks)
    asking += [asyncio.ensure_future(bench.store.open(source)) for _ in range(3)]
    bench.film(ANN, b"another film")
    bench.originals.answers.set()
    assert {(await each).tier for each in asking} == {"nas"}


async def test_a_copy_that_is_slow_to_remove_is_not_served_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await bench.promoted(ANN, b"first film")
    removing = threading.Event()
    remove = bench.folder.remove

    def slowly(copy: Copy) -> None:
        removing.wait(20)
        remove(copy)

    monkeypatch.setattr(bench.folder, "remove", slowly)
    bench.film(ANN, b"another film")
    for _ in range(2):
        latest = await bench.store.open(source)
        assert (latest.tier, await content(latest)) == ("nas", b"another film")
    removing.set()
    assert await emptied(bench)


async def test_a_copy_that_can_not_be_removed_is_not_served(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    source = await bench.promoted(ANN, b"first film")
    monkeypatch.setattr(bench.folder, "remove", _no_space)
    bench.film(ANN, b"another film")
    await bench.store.open(source)
    await bench.store.refresh()
    assert bench.store.copies == {}
    assert (await bench.store.open(source)).tier == "nas"


async def test_evictions_make_room_and_are_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, budget=2 * MIB)
    await bench.store.prepare()
    await bench.promoted(ANN, os.urandom(MIB))
    bench.store._release(asset_of(ANN))
    await until(lambda: open_below(bench.hot_root) == [])
    with capture_logs() as logs:
        await bench.promoted(BOB, os.urandom(MIB))
    (line,) = (each for each in logs if each["event"] == "hot_cache_evicted")
    assert (line["content_id"], line["bytes"]) == (ANN, MIB)
    assert line["unused_sec"] >= 0
    assert copied(bench.store) == {BOB}
    bench.store.close()


@pytest.mark.parametrize("change", ["bytes", "time", "version"])
async def test_a_changed_source_is_never_answered_with_the_old_copy(bench: Bench, change: str) -> None:
    source = await bench.promoted(ANN, b"first film")
    held = await bench.store.open(source)
    path, before = bench.root / ANN, (bench.root / ANN).stat()
    if change == "bytes":
        path.write_bytes(b"another, longer film")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "time":
        path.write_bytes(b"other film")
        os.utime(path, ns=(0, before.st_mtime_ns + 1))
    else:
        source = bench.film(ANN, b"other film", version=2)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    latest = await bench.store.open(source)
    assert (latest.tier, await content(latest)) == ("nas", path.read_bytes())
    assert not held.is_validated()
    assert bench.store.copies == {}
    await bench.promoter.promote_some()
    again = await bench.store.open(source)
    assert (again.tier, await content(again)) == ("ssd", path.read_bytes())
    assert len(names(bench.hot_root)) <= 2


async def test_an_older_version_than_the_copys_is_not_answered_with_it(bench: Bench) -> None:
    await bench.promoted(ANN, b"film")
    newer = bench.film(ANN, b"new film", version=2)
    await bench.store.open(newer)
    await bench.promoter.promote_some()
    assert (await bench.store.open(a_source(video_id=ANN, reference=ANN, version=1))).tier == "nas"
    assert copied(bench.store) == {ANN}


@pytest.mark.parametrize("what", ["replaced", "edited", "deleted", "purged"])
async def test_a_film_that_changes_while_it_is_copied_is_not_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    source = bench.film(ANN, os.urandom(MIB))
    await bench.store.open(source)

    async def meanwhile(*arguments: object) -> object:
        copied = await copier.copy(*arguments)  # type: ignore[arg-type]
        match what:
            case "replaced":
                bench.film(ANN, os.urandom(MIB))
            case "edited":
                bench.sources[ANN] = replace(source, version=2)
            case "deleted":
                del bench.sources[ANN]
            case _:
                await bench.store.drop(ANN, "deleted")
        return copied

    monkeypatch.setattr(promoter, "copy", meanwhile)
    with capture_logs() as logs:
        await bench.promoter.promote_some()
    assert [each["event"] for each in logs] == ["hot_cache_not_promoted"]
    assert names(bench.hot_root) == set()


async def test_what_the_disk_gives_back_wrong_is_not_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    source = bench.film(ANN, os.urandom(MIB))
    await bench.store.open(source)
    monkeypatch.setattr("services.stream.hotcache.copy_writer.CopyWriter.write", lambda *_: None)
    with capture_logs() as logs:
        await bench.promoter.promote_some()
    assert "ChecksumMismatchError" in logs[0]["reason"]
    assert names(bench.hot_root) == set()
    assert (await bench.store.open(source)).tier == "nas"


async def test_a_full_disk_stops_promotions_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await bench.promoted(BOB, b"kept")
    source = bench.film(ANN, os.urandom(MIB))
    await bench.store.open(source)
    monkeypatch.setattr(os, "posix_fallocate", _no_space)
    with capture_logs() as logs:
        await bench.promoter.promote_some()
    assert [each["event"] for each in logs] == ["hot_cache_disk_full"]
    monkeypatch.undo()
    asked = len(bench.asked)
    await bench.store.open(source)
    await bench.promoter.promote_some()
    assert len(bench.asked) == asked
    assert (await bench.store.open(kept)).tier == "ssd"
    assert len(names(bench.hot_root)) == 1


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


async def test_a_film_for_which_there_is_no_room_is_left_alone_for_a_while(tmp_path: Path) -> None:
    bench = Bench(tmp_path, budget=MIB)
    await bench.store.prepare()
    source = bench.film(ANN, os.urandom(MIB))
    for _ in range(3):
        await bench.store.open(source)
        await bench.promoter.promote_some()
    assert len(bench.asked) == 1
    bench.store.close()


async def test_the_copies_are_found_again_after_a_restart(bench: Bench, tmp_path: Path) -> None:
    film = os.urandom(MIB)
    source = await bench.promoted(ANN, film)
    later = Bench(tmp_path)
    await later.store.prepare()
    later.originals.is_away = True
    copy = await later.store.open(source)
    assert (copy.tier, await content(copy)) == ("ssd", film)
    later.store.close()


async def test_what_another_process_promoted_is_used_here_from_the_next_look_on(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path)
    await other.store.prepare()
    source = bench.film(ANN, b"film")
    assert (await other.store.open(source)).tier == "nas"
    await bench.store.open(source)
    await bench.promoter.promote_some()
    await other.store.refresh()
    assert (await other.store.open(source)).tier == "ssd"
    # And what another one evicts is not missed.
    bench.folder.remove(bench.store.copies[asset_of(ANN)])
    other.store._release(asset_of(ANN))
    assert (await other.store.open(source)).tier == "nas"
    other.store.close()


async def test_closes_a_copy_that_is_not_requested(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    source = await bench.promoted(ANN, b"film")
    assert len(open_below(bench.hot_root)) == 1
    bench.released.clear()
    await bench.store.refresh()
    assert bench.released == []
    monkeypatch.setattr(store, "IDLE_SEC", 0)
    await bench.store.refresh()
    assert bench.released == [asset_of(ANN)]
    await until(lambda: open_below(bench.hot_root) == [])
    assert (await bench.store.open(source)).tier == "ssd"


async def test_a_film_in_use_is_noted_as_used(bench: Bench) -> None:
    source = await bench.promoted(ANN, b"film")
    manifest = next(bench.hot_root.glob("*.copy/facts.json"))
    os.utime(manifest, (0, 0))
    file = await bench.store.open(source)
    assert isinstance(file, HotFile)
    await bench.store.refresh()
    assert manifest.stat().st_mtime > 0


async def test_many_who_ask_at_once_share_one_open_file(bench: Bench) -> None:
    source = await bench.promoted(ANN, b"film")
    bench.store._release(asset_of(ANN))
    files = await asyncio.gather(*(bench.store.open(source) for _ in range(50)))
    assert len(set(map(id, files))) == 1


async def test_a_purged_video_leaves_nothing(bench: Bench) -> None:
    await bench.promoted(ANN, b"film")
    await bench.store.drop(ANN, "purged")
    await bench.store.drop(ANN, "purged")
    assert await emptied(bench)


async def test_checking_the_copies_finds_changes_whose_events_were_missed(bench: Bench) -> None:
    for video_id in FILMS:
        await bench.promoted(video_id, b"film of " + video_id.encode())
    deleted, changed, replaced, same = FILMS
    del bench.sources[deleted]
    bench.film(changed, b"film", version=2)
    bench.film(replaced, b"another film")
    assert await bench.keeper.check_copies()
    assert copied(bench.store) == {same}


async def test_an_audit_that_catalog_can_not_answer_is_done_again(bench: Bench) -> None:
    await bench.promoted(ANN, b"film")

    async def away(_: str) -> Source:
        raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)

    assert not await Janitor(bench.store, away).check_copies()
    assert copied(bench.store) == {ANN}


async def test_an_audit_does_not_wait_for_a_store_that_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.promoted(ANN, b"film")
    monkeypatch.setattr(janitor, "STALL_SEC", 0.01)
    bench.originals.answers.clear()
    assert not await bench.keeper.check_copies()
    monkeypatch.undo()
    bench.originals.answers.set()
    assert await bench.keeper.check_copies()
    assert copied(bench.store) == {ANN}


async def test_while_progress_is_away_nothing_is_promoted(bench: Bench) -> None:
    await bench.store.open(bench.film(ANN, b"film"))

    async def away(_: Sequence[str]) -> Mapping[str, int]:
        raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)

    waiting = Promoter(bench.store, bench.find, away, min_views=5, bytes_per_sec=FAST)
    await waiting.promote_some()
    assert bench.store.copies == {}
    await bench.promoter.promote_some()
    assert copied(bench.store) == {ANN}


async def test_a_copy_is_made_no_faster_than_allowed(bench: Bench) -> None:
    clock = asyncio.get_running_loop().time
    source = bench.film(ANN, os.urandom(MIB))
    await bench.store.open(source)
    slow = Promoter(bench.store, bench.find, bench.count, min_views=5, bytes_per_sec=8 * MIB)
    began = clock()
    await slow.promote_some()
    # It is read once and read back once: an eighth of a second each, but for what may come at once.
    assert clock() - began > 0.14
    assert copied(bench.store) == {ANN}


class Elsewhere:
    """An original on another machine, which tells no time of change, and whose bytes may stop coming."""

    tier: Tier = "remote"
    mtime_ns = None
    state = "r0123456789abcdef"
    identity = 0, 0, 0, 0

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.stops_at = self.size

    def is_validated(self) -> bool:
        return True

    async def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        for begin in range(offset, offset + count, 1000):
            if begin >= self.stops_at:
                await asyncio.Event().wait()
            yield self.content[begin : min(begin + 1000, offset + count)]

    async def structure(self) -> Structure:
        raise NotImplementedError

    async def index(self) -> File:
        raise NotImplementedError

    def location(self, content_type: str, saved_as: str | None = None) -> str | None:
        return None


class Network(Originals):
    """A store on another machine."""

    def __init__(self, root: Path, original: Elsewhere) -> None:
        super().__init__(root)
        self._original = original

    async def open(self, source: Source) -> StoredFile:
        await super().open(source)
        return self._original


async def test_a_remote_original_is_copied_too(bench: Bench) -> None:
    original = Elsewhere(os.urandom(MIB // 2))
    bench.store._original = Network(bench.root, original)
    source = bench.film(ANN, b"")
    remote = await bench.store.open(source)
    await bench.promoter.promote_some()
    copy = await bench.store.open(source)
    assert (copy.tier, await content(copy), copy.mtime_ns) == ("ssd", original.content, None)
    assert etag(source, copy) == etag(source, remote)


async def test_an_original_whose_bytes_stop_coming_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copier, "STALL_SEC", 0.05)
    original = Elsewhere(os.urandom(MIB // 2))
    original.stops_at = 100_000
    bench.store._original = Network(bench.root, original)
    await bench.store.open(bench.film(ANN, b""))
    with capture_logs() as logs:
        await bench.promoter.promote_some()
    assert [(each["event"], each["reason"]) for each in logs] == [("hot_cache_not_promoted", "TimeoutError: ")]
    assert names(bench.hot_root) == set()


async def test_a_store_that_hangs_holds_no_promotion_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.store.open(bench.film(ANN, b"film"))
    monkeypatch.setattr(promoter, "STALL_SEC", 0.01)
    bench.originals.answers.clear()
    with capture_logs() as logs:
        await bench.promoter.promote_some()
    assert [each["event"] for each in logs] == ["hot_cache_not_promoted"]


async def test_a_promotion_that_is_cancelled_leaves_nothing(bench: Bench) -> None:
    source = bench.film(ANN, os.urandom(MIB))
    await bench.store.open(source)
    slow = Promoter(bench.store, bench.find, bench.count, min_views=5, bytes_per_sec=1000)
    task = asyncio.ensure_future(slow.promote_some())
    await until(lambda: names(bench.hot_root))
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
    assert names(bench.hot_root) == set()
