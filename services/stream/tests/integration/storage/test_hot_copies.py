"""Originals elsewhere are copied like any other: they play with the same tag then, also while their origin is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.stream.hotcache import janitor, promoter, store
from services.stream.tests.integration.storage.conftest import Originals, tell_catalog
from services.stream.tests.integration.test_hot_cache import HotCacheHarness, compared, promoted
from services.stream.tests.support import make_movie


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (promoter, janitor):
        monkeypatch.setattr(module, "PASS_SEC", 0.02)
    monkeypatch.setattr(promoter, "SETTLE_SEC", 0)
    monkeypatch.setattr(store, "FRESH_SEC", 0)


@pytest.mark.parametrize("originals", ["http", "s3"], indirect=True)
async def test_a_copy_stands_in_for_its_origin(
    tmp_path: Path, sockets: Path, settings: dict[str, Any], originals: Originals
) -> None:
    movie = await make_movie(tmp_path / "film.mp4")
    originals.put("film", movie.read_bytes())
    theatre = HotCacheHarness(tmp_path / "theatre", sockets)
    async with theatre.open(**settings) as harness:
        film = tell_catalog(harness, originals.reference("film"))
        path = f"/api/videos/{film}/stream"
        asked: tuple[tuple[str, dict[str, str]], ...] = (
            (path, {}),
            (path, {"range": "bytes=1000-1999"}),
            (f"{path}?start=0", {}),
            # It is not cut at its origin, and so its copy isn't either: a player may be in the middle of it.
            (f"{path}?start=1.5", {}),
        )
        before = [compared(await harness.call("GET", *way[:1], **way[1])) for way in asked]
        await promoted(theatre, harness, film)
        assert [compared(await harness.call("GET", *way[:1], **way[1])) for way in asked] == before
        with originals.away():
            assert [compared(await harness.call("GET", *way[:1], **way[1])) for way in asked] == before
