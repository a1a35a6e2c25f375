"""Which films are promoted, and what a promotion does when it fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kit.errors import ApiError, ErrorCode
from kit.ids import new_id
from services.stream.hotcache import Promoter, copier, promoter
from services.stream.tests.support import asset_of, open_below, until
from services.stream.tests.unit.hotcache.bench import ANN, BOB, FAST, Bench, copied, no_space
from services.stream.tests.unit.hotcache.support import FILMS, MIB, names


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
    monkeypatch.setattr(os, "posix_fallocate", no_space)
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


async def test_a_film_for_which_there_is_no_room_is_left_alone_for_a_while(tmp_path: Path) -> None:
    bench = Bench(tmp_path, budget=MIB)
    await bench.store.prepare()
    source = bench.film(ANN, os.urandom(MIB))
    for _ in range(3):
        await bench.store.open(source)
        await bench.promoter.promote_some()
    assert len(bench.asked) == 1
    bench.store.close()


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
