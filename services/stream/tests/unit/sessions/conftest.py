"""What tests of sessions share."""

from __future__ import annotations

import pytest

from services.stream.tests.unit.sessions.support import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)
