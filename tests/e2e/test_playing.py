"""Highlights that play one after another, gestures, and what the player's settings do, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.browser import log_in, plays_on, position, shoot
from tests.e2e.client import Client, make_film
from tests.stacks.base import Stack


def test_highlights_play_one_after_another(page: Page, stack: Stack, tmp_path: Path) -> None:
    admin = Client(stack.base_url)
    film = make_film(tmp_path / "hands.mp4", seconds=30)
    one, other = (admin.upload(film, title) for title in ("Table one", "Table two"))
    for video_id, hands in ((one, ((8, 900), (2, 100))), (other, ((20, 500),))):
        admin.await_status(video_id, "ready")
        items = [{"start": at, "end": at + 3, "players": ["Zoe"], "pot_size": pot} for at, pot in hands]
        put = admin.http.put(f"/api/videos/{video_id}/highlights", json={"items": items})
        assert put.status_code == 200, put.text

    log_in(page)
    page.goto("/highlights?player=zoe")
    page.get_by_test_id("play-all").click()
    where = page.get_by_test_id("playlist-position")
    expect(where).to_contain_text("1 of 3")
    page.wait_for_url(re.compile(rf"/watch/{one}\?t=8&until=11&highlight=1&"))
    plays_on(page, 8)

    page.wait_for_url(re.compile(rf"/watch/{other}\?.*highlight=2"))
    expect(where).to_contain_text("2 of 3")
    page.reload()
    plays_on(page, 20)
    expect(where).to_contain_text("2 of 3")
    shoot(page, stack, "playlist")

    page.wait_for_url(re.compile(rf"/watch/{one}\?.*highlight=3"))
    expect(where).to_contain_text("That was the last highlight.")
    page.wait_for_function("() => document.querySelector('[data-testid=player]').paused")
    assert 5 <= position(page) < 8
    page.get_by_test_id("playlist-previous").click()
    expect(where).to_contain_text("2 of 3")
    page.get_by_test_id("playlist-previous").click()
    expect(where).to_contain_text("1 of 3")
    plays_on(page, 8)

    page.go_back()
    expect(page.get_by_test_id("highlight-wall")).to_be_visible()
    assert page.url.endswith("/highlights?player=zoe")
    # What is left of a film stays where it was.
    assert admin.http.get(f"/api/progress/{one}").status_code == 404
    admin.close()
