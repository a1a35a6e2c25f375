"""What a replica serves: a copy, or the original."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.stream.delivery.representation import Representation
from services.stream.hotcache import store
from services.stream.hotcache.copy_writer import Copy
from services.stream.hotcache.store import HotFile
from services.stream.tests.support import a_source, asset_of, until
from services.stream.tests.unit.hotcache.bench import ANN, BOB, Bench, content, copied, emptied, etag, no_space
from services.stream.tests.unit.hotcache.support import MIB, names


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
    monkeypatch.setattr(bench.folder, "remove", no_space)
    bench.film(ANN, b"another film")
    await bench.store.open(source)
    await bench.store.refresh()
    assert bench.store.copies == {}
    assert (await bench.store.open(source)).tier == "nas"


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
