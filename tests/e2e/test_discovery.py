"""Rows, series, highlights and the watchlist in a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.conftest import IN_ONE_PROCESS
from tests.e2e.browser import has_metadata, log_in, plays_on, position, shoot
from tests.e2e.client import Client, make_film
from tests.e2e.play_sessions import FITS
from tests.stacks.base import Stack

pytestmark = IN_ONE_PROCESS

WIDTHS = (390, 1440)
EPISODES = 4


def make_tour(stack: Stack, folder: Path) -> tuple[str, list[str]]:
    """Make a series whose first episode was watched, with two hands in the second; return the ids."""
    admin = Client(stack.base_url)
    made = admin.http.post("/api/series", json={"title": "The river tour", "description": "Four stops."})
    assert made.status_code == 201, made.text
    series_id = made.json()["id"]
    film = make_film(folder / "stop.mp4", seconds=60)
    episodes = [admin.upload(film, f"Stop {number}") for number in range(1, EPISODES + 1)]
    for number, video_id in enumerate(episodes, 1):
        admin.await_status(video_id, "ready")
        place = {"series_id": series_id, "season": 1, "episode": number, "tags": ["river"]}
        assert admin.http.patch(f"/api/videos/{video_id}", json=place).status_code == 200
    hands = [
        {"start": 10, "end": 20, "category": "bluff", "title": "The bluff", "players": ["Ann"], "pot_size": 120000},
        {"start": 40, "end": 50, "category": "cooler", "players": ["Ann", "Bea"], "pot_size": 900000},
    ]
    put = admin.http.put(f"/api/videos/{episodes[1]}/highlights", json={"items": hands})
    assert put.status_code == 200, put.text
    saved = admin.http.put(f"/api/progress/{episodes[0]}", json={"position": 59, "duration": 60})
    assert saved.status_code == 200, saved.text
    admin.close()
    return str(series_id), episodes


def test_a_viewer_finds_a_hand_and_the_next_episode(page: Page, stack: Stack, tmp_path: Path) -> None:
    series_id, episodes = make_tour(stack, tmp_path)
    log_in(page)
    upcoming = page.get_by_test_id("row-next_episode").get_by_test_id("video-card")
    expect(upcoming.filter(has_text="Stop 2")).to_be_visible()
    row = page.get_by_test_id(f"row-series-{series_id}")
    expect(row.get_by_test_id("video-card")).to_have_count(EPISODES)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(FITS), width
        shoot(page, stack, f"rows-{width}")
    cards = row.locator("article a")
    cards.first.focus()
    page.keyboard.press("End")
    expect(cards.last).to_be_focused()
    expect(cards.last).to_be_in_viewport()
    page.keyboard.press("ArrowLeft")
    expect(cards.nth(EPISODES - 2)).to_be_focused()

    row.get_by_role("link", name="The river tour").click()
    expect(page.get_by_test_id("season").get_by_test_id("video-card")).to_have_count(EPISODES)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(FITS), width
        shoot(page, stack, f"series-{width}")

    page.goto(f"/watch/{episodes[1]}")
    has_metadata(page)
    page.wait_for_function("() => document.querySelector('video').textTracks[0]?.cues?.length === 2")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(FITS), width
        shoot(page, stack, f"chapters-{width}")
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport(ratio=1)
    page.get_by_test_id("chapter").filter(has_text="The bluff").click()
    plays_on(page, 10)
    assert position(page) < 25
    page.get_by_test_id("watchlist-button").click()
    expect(page.get_by_test_id("watchlist-button")).to_have_attribute("aria-pressed", "true")
    links = page.get_by_test_id("episode-links").locator("a.button")
    expect(links).to_have_count(2)
    expect(links.last).to_have_attribute("href", f"/watch/{episodes[2]}")

    page.goto("/watchlist")
    expect(page.get_by_test_id("watchlist").get_by_test_id("video-card").filter(has_text="Stop")).to_have_count(1)
    page.goto("/highlights?player=ann")
    wall = page.get_by_test_id("highlight-wall").locator(f"article a[href^='/watch/{episodes[1]}?']")
    expect(wall).to_have_count(2)
    expect(wall.first).to_have_attribute("href", f"/watch/{episodes[1]}?t=40&until=50")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(FITS), width
        shoot(page, stack, f"highlights-{width}")
    wall.first.click()
    plays_on(page, 40)
    page.wait_for_function("() => document.querySelector('[data-testid=player]').paused", timeout=60_000)
    assert 50 <= position(page) < 53


def test_the_next_episode_begins_by_itself(page: Page, stack: Stack, tmp_path: Path) -> None:
    _, episodes = make_tour(stack, tmp_path)
    log_in(page)
    page.goto(f"/watch/{episodes[2]}")
    plays_on(page, 0)
    page.keyboard.press("End")
    expect(page.get_by_test_id("up-next")).to_contain_text("Stop 4")
    shoot(page, stack, "up-next")
    page.wait_for_url(f"**/watch/{episodes[3]}")
    plays_on(page, 0)
