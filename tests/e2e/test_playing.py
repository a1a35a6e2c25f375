"""Highlights that play one after another, gestures, and what the player's settings do, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.conftest import IN_ONE_PROCESS
from tests.e2e.browser import log_in, plays_on, position, shoot
from tests.e2e.client import Client, make_film
from tests.stacks.base import Stack

pytestmark = IN_ONE_PROCESS

TAP = """async ([part, taps, down]) => {
  const player = document.querySelector('[data-testid=player]');
  const box = player.getBoundingClientRect();
  const clientX = box.left + box.width * part;
  const finger = { bubbles: true, composed: true, pointerType: 'touch', pointerId: 7, clientX };
  for (let tap = 0; tap < taps; tap += 1) {
    player.dispatchEvent(new PointerEvent('pointerdown', { ...finger, clientY: box.top + 20 }));
    player.dispatchEvent(new PointerEvent('pointerup', { ...finger, clientY: box.top + 20 + down }));
  }
  await new Promise((resolve) => setTimeout(resolve));
  return document.querySelector('[data-testid=sought]')?.textContent;
}"""
"""Touches at a part of the width, and how far down they end; in one moment, as a busy machine makes taps long."""

SUBTITLES = "[...document.querySelector('video').textTracks].find(({ kind }) => kind === 'subtitles')"

LINES = """WEBVTT

00:02.000 --> 00:04.000
The ferry leaves

00:20.000 --> 00:22.000
The <i>last</i>
ferry
"""


def test_fingers_seek_and_settings_find_a_line(page: Page, stack: Stack, tmp_path: Path) -> None:
    admin = Client(stack.base_url)
    film = str(admin.await_status(admin.upload(make_film(tmp_path / "ferry.mp4", seconds=40)), "ready")["id"])
    headers = {"Content-Type": "text/vtt"}
    put = admin.http.put(f"/api/videos/{film}/subtitles/en", content=LINES.encode(), headers=headers)
    assert put.status_code in (200, 201), put.text
    admin.close()
    page.set_viewport_size({"width": 390, "height": 844})
    log_in(page)
    page.goto(f"/watch/{film}?t=1")
    plays_on(page, 1)
    page.get_by_test_id("player").evaluate("video => { video.pause(); video.currentTime = 5; }")

    assert page.evaluate(TAP, [0.8, 3, 0]) == "+20 s"
    assert position(page) == 25
    page.evaluate(TAP, [0.2, 2, 0])
    assert position(page) == 15
    page.locator("media-controller").evaluate("controller => controller.requestFullscreen()")
    page.wait_for_function("() => document.fullscreenElement !== null")
    page.evaluate(TAP, [0.5, 1, 200])
    page.wait_for_function("() => document.fullscreenElement === null")

    page.locator("media-controller").hover()
    page.get_by_test_id("settings-button").click()
    page.get_by_test_id("speed").select_option("1.5")
    look = page.get_by_test_id("subtitle-style")
    look.get_by_label("Size").select_option("huge")
    look.get_by_label("Position").select_option("top")
    expect(page.get_by_test_id("cue-preview")).to_have_attribute("data-cue-size", "huge")
    expect(page.get_by_test_id("player")).to_have_attribute("data-cue-size", "huge")
    search = page.get_by_test_id("subtitle-search")
    search.get_by_role("searchbox").fill("last ferry")
    expect(search.get_by_role("status")).to_have_text("Lines found: 1")
    shoot(page, stack, "player-settings")
    search.get_by_role("button").click()
    expect(page.get_by_test_id("player-settings")).to_have_count(0)
    plays_on(page, 20)
    assert page.evaluate("document.querySelector('video').playbackRate") == 1.5
    page.reload()
    plays_on(page, 1)
    page.get_by_test_id("player").evaluate("video => video.pause()")
    expect(page.get_by_test_id("player")).to_have_attribute("data-cue-position", "top")
    expect(page.locator("media-captions-menu-button")).to_be_visible()
    page.wait_for_function(f"() => {SUBTITLES}.mode !== 'disabled'")
    page.wait_for_function(f"() => {SUBTITLES}.cues?.[0]?.line === 0")


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
    assert admin.http.get(f"/api/progress/{one}").status_code == 204
    admin.close()
