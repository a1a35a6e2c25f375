"""A running service with few slots, and a film."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.stream.tests.integration.play_sessions.support import DATA, LIMITS
from services.stream.tests.support import ServiceHarness, running


@pytest.fixture
async def harness(store: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServiceHarness]:
    monkeypatch.setattr("kit.auth.client.REVOCATIONS_SEC", 0.1)
    async with running(store, sockets, **LIMITS) as harness:
        yield harness


@pytest.fixture
def film(harness: ServiceHarness) -> str:
    return harness.store("film.mp4", DATA)
