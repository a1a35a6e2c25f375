"""A running service with few slots, and a film."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.stream.tests.integration.play_sessions.support import DATA, LIMITS
from services.stream.tests.support import Stage, running


@pytest.fixture
async def stage(store: Path, sockets: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr("kit.auth.client.REVOCATIONS_SEC", 0.1)
    async with running(store, sockets, **LIMITS) as stage:
        yield stage


@pytest.fixture
def film(stage: Stage) -> str:
    return stage.store("film.mp4", DATA)
