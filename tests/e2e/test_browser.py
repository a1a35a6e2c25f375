"""The main job, in a real browser: log in, upload, see the thumbnail, play, seek, leave, come back, go on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ALL_STACKS
from tests.e2e.browser import has_metadata, log_in, plays_on, position, shoot
from tests.e2e.client import Client, make_film
from tests.stacks.base import Stack


@pytest.mark.parametrize("stack", ALL_STACKS, indirect=True)
def test_the_main_job(page: Page, stack: Stack, tmp_path: Path) -> None:
    title = f"The {stack.name} express"
    film = make_film(tmp_path / f"{title}.mp4", seconds=60, faststart=False)
    log_in(page)
    page.goto("/upload")
    page.get_by_test_id("upload-input").set_input_files(film)
    with page.expect_response(lambda answer: "marquee-video-id" in answer.headers):
        page.get_by_test_id("upload-submit").click()
        page.get_by_test_id("upload-progress").first.wait_for()
    page.goto("/")
    card = page.get_by_test_id("video-card").filter(has_text=title).first
    expect(card).to_have_attribute("data-status", "ready")
    picture = card.get_by_test_id("video-thumbnail")
    expect(picture).to_be_visible()
    page.wait_for_function("img => img.complete && img.naturalWidth === 320", arg=picture.element_handle())
    shoot(page, stack, "list")

    video_id = card.get_attribute("data-video-id")
    page.goto(f"/watch/{video_id}")
    player = page.get_by_test_id("player")
    player.wait_for()
    has_metadata(page)
    player.evaluate("video => video.play()")
    plays_on(page, 0)
    player.evaluate("video => { video.currentTime = 40 }")
    plays_on(page, 40)
    shoot(page, stack, "player")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('[data-testid=player]').paused")
    left_at = position(page)
    assert 40 < left_at < 55
    page.goto("/")
    page.get_by_test_id("logout").click()
    page.get_by_test_id("login-form").wait_for()

    log_in(page)
    page.goto(f"/watch/{video_id}")
    page.get_by_test_id("resume-dialog").wait_for()
    shoot(page, stack, "resume")
    page.get_by_test_id("resume-continue").click()
    plays_on(page, left_at - 2)
    assert abs(position(page) - left_at) < 8
    # Closing the page while it plays saves the position too.
    player.evaluate("video => { video.currentTime = 20 }")
    plays_on(page, 20)
    page.goto("about:blank")

    saved = Client(stack.base_url).http.get(f"/api/progress/{video_id}").json()["position"]
    assert 20 <= saved < 35
    page.goto(f"/watch/{video_id}")
    page.get_by_test_id("resume-restart").click()
    plays_on(page, 0)
    assert position(page) < 10


def test_fifty_quick_seeks_by_mouse_and_keyboard(page: Page, stack: Stack, tmp_path: Path) -> None:
    admin = Client(stack.base_url)
    video_id = admin.upload(make_film(tmp_path / "seeks.mp4", seconds=100, faststart=False))
    admin.await_status(video_id, "ready")
    admin.close()
    log_in(page)
    page.goto(f"/watch/{video_id}")
    player = page.get_by_test_id("player")
    has_metadata(page)
    player.evaluate("video => video.play()")
    plays_on(page, 0)
    player.evaluate("video => { window.seeks = 0; video.addEventListener('seeking', () => { window.seeks += 1 }) }")
    timeline = page.locator("media-time-range")
    # A paused player doesn't hide its timeline.
    page.keyboard.press("Space")
    box = timeline.bounding_box()
    assert box
    for step in range(25):
        page.mouse.click(box["x"] + box["width"] * (0.05 + 0.9 * ((step * 7) % 25) / 25), box["y"] + box["height"] / 2)
    page.locator("media-controller").focus()
    for step in range(25):
        page.keyboard.press("ArrowLeft" if step % 3 else "ArrowRight")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function("() => window.seeks >= 45")
    page.locator("media-controller").focus()
    page.keyboard.press("Space")
    plays_on(page, 47)
    assert position(page) < 60
    assert player.evaluate("video => video.error") is None
    expect(page.get_by_test_id("error-message")).to_have_count(0)
    shoot(page, stack, "seeks")


def test_site_in_korean(page: Page, stack: Stack) -> None:
    page.goto("/login")
    page.get_by_test_id("lang-ko").click()
    expect(page.get_by_test_id("login-submit")).to_have_text(re.compile("로그인"))
    page.get_by_test_id("login-id").fill("unknown")
    page.get_by_test_id("login-password").fill("wrong password")
    page.get_by_test_id("login-submit").click()
    expect(page.get_by_test_id("error-message")).to_have_text(re.compile("아이디"))
    shoot(page, stack, "login-korean")


def test_api_documentation_page(page: Page, stack: Stack) -> None:
    page.goto("/docs/")
    page.locator(".operation-filter-input").fill("stream")
    page.get_by_text("/api/videos/{video_id}/stream").first.wait_for()
    shoot(page, stack, "docs")
