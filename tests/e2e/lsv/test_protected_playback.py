"""A protected film plays like any other; what is damaged heals, or stops playback where it is, and says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import plays_on, position
from tests.e2e.lsv.packs import OFFLINE
from tests.e2e.lsv.server import ProtectedServer

Watch = Callable[[], Page]
PLAYER = "document.querySelector('[data-testid=player]')"


def seek(page: Page, second: float) -> None:
    page.get_by_test_id("player").evaluate("(video, at) => { video.currentTime = at }", second)


def state(page: Page, wanted: str) -> None:
    """Wait for a state of the player."""
    expect(page.get_by_test_id("lsv-state")).to_have_attribute("data-state", wanted)


def test_plays_seeks_and_ends(watch: Watch, server: ProtectedServer) -> None:
    page = watch()
    plays_on(page, 0)
    state(page, "playing")
    page.keyboard.press("5")
    plays_on(page, server.pack.duration_sec / 2)
    page.keyboard.press("k")
    state(page, "paused")
    page.keyboard.press("k")
    seek(page, server.pack.duration_sec - 1)
    page.wait_for_function(f"() => {PLAYER}.ended")
    assert abs(position(page) - server.pack.duration_sec) < 0.5
    assert server.records[0] == (None, "")
