"""What holds for all tests of hot copies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.stream.hotcache import promoter, store
from services.stream.tests.unit.hotcache.bench import Bench


@pytest.fixture(autouse=True)
def _asks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is believed without asking."""
    monkeypatch.setattr(promoter, "SETTLE_SEC", 0)
    monkeypatch.setattr(store, "FRESH_SEC", 0)
    monkeypatch.setattr("services.stream.storage.open_files.FRESH_SEC", 0)
    monkeypatch.setattr(store, "PATIENCE_SEC", 10)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.store.prepare()
    yield bench
    bench.store.close()
