"""What holds for all tests of remote files."""

from __future__ import annotations

import pytest

from kit.origins import remote as module


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_SEC", 0)
