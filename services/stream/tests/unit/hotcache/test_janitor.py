"""Which copies are removed."""

from __future__ import annotations

import pytest

from kit.errors import ApiError, ErrorCode
from services.stream.domain import Source
from services.stream.hotcache import Janitor, janitor, store
from services.stream.tests.support import asset_of, open_below, until
from services.stream.tests.unit.hotcache.bench import ANN, Bench, copied, emptied
from services.stream.tests.unit.hotcache.support import FILMS


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
