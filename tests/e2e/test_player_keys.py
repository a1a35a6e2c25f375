"""The player's keys in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import IN_ONE_PROCESS
from tests.e2e.browser import log_in, plays_on, position, shoot
from tests.e2e.client import Client, make_film
from tests.stacks.base import Stack

pytestmark = IN_ONE_PROCESS


def test_keys_jump_step_and_are_listed(page: Page, stack: Stack, tmp_path: Path) -> None:
    admin = Client(stack.base_url)
    film = str(admin.await_status(admin.upload(make_film(tmp_path / "keys.mp4", seconds=60)), "ready")["id"])
    admin.close()
    log_in(page)
    page.goto(f"/watch/{film}")
    plays_on(page, 0)
    page.keyboard.press("5")
    plays_on(page, 30)
    page.keyboard.press("j")
    plays_on(page, 20)
    assert position(page) < 30
    page.keyboard.press("k")
    page.wait_for_function("() => document.querySelector('[data-testid=player]').paused")
    paused_at = position(page)
    page.keyboard.press(".")
    assert position(page) == pytest.approx(paused_at + 1 / 30, abs=0.01)
    page.keyboard.press(",")
    assert position(page) == pytest.approx(paused_at, abs=0.01)
    page.keyboard.press("Home")
    assert position(page) == 0

    page.keyboard.press("?")
    dialog = page.get_by_test_id("keys-dialog")
    expect(dialog).to_be_visible()
    shoot(page, stack, "keys")
    page.keyboard.press("?")
    expect(dialog).to_have_count(0)
    page.keyboard.press("t")
    expect(page.locator(".watch-theatre")).to_have_count(1)
    page.reload()
    expect(page.locator(".watch-theatre")).to_have_count(1)
    plays_on(page, 0)
    page.keyboard.press("t")
    expect(page.locator(".watch-theatre")).to_have_count(0)
    page.locator("media-controller").dblclick(position={"x": 200, "y": 100})
    page.wait_for_function("() => document.fullscreenElement !== null")
