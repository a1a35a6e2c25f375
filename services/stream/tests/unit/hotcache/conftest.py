"""What holds for all tests of hot copies."""

from __future__ import annotations

import pytest

from services.stream.hotcache import promoter, store


@pytest.fixture(autouse=True)
def _asks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is believed without asking."""
    monkeypatch.setattr(promoter, "SETTLE_SEC", 0)
    monkeypatch.setattr(store, "FRESH_SEC", 0)
    monkeypatch.setattr("services.stream.storage.open_files.FRESH_SEC", 0)
    monkeypatch.setattr(store, "PATIENCE_SEC", 10)
