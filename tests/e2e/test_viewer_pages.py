"""History, bookmarks, the account, points and the page of a film in a real browser, also by keyboard."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import IN_ONE_PROCESS
from tests.e2e.browser import log_in, plays_on, position, shoot
from tests.e2e.client import Client, make_film, new_member
from tests.e2e.play_sessions import FITS
from tests.stacks.base import Stack

pytestmark = IN_ONE_PROCESS

WIDTHS = (390, 1440)
PASSWORD = "longer than eight"
NEW_PASSWORD = "staple the battery"


@pytest.fixture(scope="module")
def films(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three films that everyone may watch, the first with a highlight and subtitles."""
    path: Path = make_film(tmp_path_factory.mktemp("viewer") / "film.mp4", seconds=60)
    admin = Client(stack.base_url)
    ids = [admin.upload(path, f"Harbour {number}") for number in (1, 2, 3)]
    for video_id in ids:
        admin.await_artwork(video_id)
    hand = {"start": 10, "end": 20, "category": "bluff", "title": "The bluff"}
    assert admin.http.put(f"/api/videos/{ids[0]}/highlights", json={"items": [hand]}).status_code == 200
    labels = {"tags": ["harbour"], "description": "Ships at night."}
    assert admin.http.patch(f"/api/videos/{ids[0]}", json=labels).status_code == 200
    text = "WEBVTT\n\n00:01.000 --> 00:05.000\nHello\n"
    subtitles = admin.http.put(f"/api/videos/{ids[0]}/subtitles/ko", content=text)
    assert subtitles.status_code == 200, subtitles.text
    admin.close()
    return ids


@pytest.fixture
def viewer(stack: Stack, films: list[str]) -> Client:
    """A viewer whom no other test knows, who has watched all films: the first one last, up to its middle."""
    client = new_member(stack, f"v{uuid4().hex[:12]}")
    for video_id in reversed(films):
        saved = client.http.put(f"/api/progress/{video_id}", json={"position": 30, "duration": 60})
        assert saved.status_code == 200, saved.text
    return client


def shoot_both(page: Page, stack: Stack, name: str) -> None:
    """Check in both widths, themes and languages that the page fits, and take pictures."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("dark", "light"):
            page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
            page.wait_for_function(FITS)
            shoot(page, stack, f"{name}-{width}-{theme}")
        page.get_by_test_id("lang-ko").first.click()
        page.wait_for_function(FITS)
        shoot(page, stack, f"{name}-{width}-ko")
        page.get_by_test_id("lang-en").first.click()
    page.evaluate("document.documentElement.dataset.theme = 'dark'")


def test_history_loses_one_film_and_then_all(page: Page, stack: Stack, viewer: Client) -> None:
    log_in(page, viewer.user["login_id"], PASSWORD)
    page.get_by_role("link", name="History").first.click()
    expect(page.get_by_role("heading", level=1, name="History")).to_be_focused()
    lines = page.get_by_test_id("history-entry")
    expect(lines).to_have_count(3)
    expect(lines.first).to_contain_text("Harbour 1")
    expect(lines.first).to_contain_text("50% watched")
    shoot_both(page, stack, "history")

    removal = lines.nth(1).get_by_role("button", name="Remove Harbour 2 from the history")
    removal.focus()
    page.keyboard.press("Enter")
    expect(lines).to_have_count(2)
    expect(page.get_by_test_id("history-status")).to_contain_text("Harbour 2")
    expect(page.get_by_role("link", name="Harbour 3")).to_be_focused()
    page.reload()
    expect(lines).to_have_count(2)

    page.get_by_test_id("clear-history").click()
    dialog = page.get_by_test_id("confirm-dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    shoot(page, stack, "history-clear")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(lines).to_have_count(2)
    page.get_by_test_id("clear-history").click()
    page.get_by_test_id("dialog-submit").click()
    expect(page.get_by_test_id("history-empty")).to_be_visible()
    assert viewer.http.get("/api/users/me/history").json()["total"] == 0


def test_history_grows_and_keeps_its_length_in_the_address(page: Page, viewer: Client, films: list[str]) -> None:
    log_in(page, viewer.user["login_id"], PASSWORD)

    def answer(number: int) -> dict[str, object]:
        films_of_page = [films[0]] if number == 2 else []
        ids = films_of_page or [str(uuid4()) for _ in range(24)]
        line = {"position": 5, "duration": 60, "progress_percent": 8, "completed": False, "video": None}
        items = [{**line, "video_id": each, "updated_at": "2026-01-01T10:00:00Z"} for each in ids]
        return {"items": items, "page": number, "page_size": 24, "total": 25}

    page.route("**/api/users/me/history?page=1&*", lambda route: route.fulfill(json=answer(1)))
    page.route("**/api/users/me/history?page=2&*", lambda route: route.fulfill(json=answer(2)))
    page.goto("/history")
    expect(page.get_by_test_id("history-entry")).to_have_count(24)
    page.get_by_test_id("load-more").click()
    expect(page.get_by_test_id("history-entry")).to_have_count(25)
    expect(page.get_by_test_id("load-more")).to_have_count(0)
    assert page.url.endswith("/history?pages=2")
    page.reload()
    expect(page.get_by_test_id("history-entry")).to_have_count(25)


def test_moment_is_bookmarked_and_found_again(page: Page, stack: Stack, viewer: Client, films: list[str]) -> None:
    log_in(page, viewer.user["login_id"], PASSWORD)
    page.goto(f"/watch/{films[0]}?t=20")
    plays_on(page, 20)
    page.get_by_test_id("bookmark-add").click()
    note = page.get_by_test_id("bookmark-note")
    expect(note).to_be_focused()
    page.keyboard.type("A ship")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("film-bookmarks")).to_contain_text("A ship")
    expect(page.get_by_test_id("bookmark-add")).to_be_focused()
    shoot_both(page, stack, "film-bookmarks")

    page.goto("/bookmarks")
    lines = page.get_by_test_id("bookmark")
    expect(lines).to_have_count(1)
    shoot_both(page, stack, "bookmarks")
    lines.get_by_test_id("bookmark-edit").click()
    page.get_by_test_id("bookmark-note").fill("Two ships")
    page.keyboard.press("Enter")
    expect(lines).to_contain_text("Two ships")
    expect(lines.get_by_test_id("bookmark-edit")).to_be_focused()
    lines.get_by_test_id("bookmark-jump").click()
    plays_on(page, 20)
    assert position(page) < 55
    page.goto("/bookmarks")
    lines.get_by_test_id("bookmark-remove").click()
    expect(page.get_by_test_id("bookmarks-empty")).to_be_visible()


def test_account_changes_name_password_and_logins(page: Page, browser: Browser, stack: Stack, viewer: Client) -> None:
    login = viewer.user["login_id"]
    log_in(page, login, PASSWORD)
    page.get_by_test_id("account-link").click()
    expect(page.get_by_role("heading", level=1, name="Your account")).to_be_focused()
    page.get_by_test_id("own-name").fill("Minji")
    page.get_by_test_id("own-name-save").click()
    expect(page.get_by_text("Your name was saved.")).to_be_visible()
    expect(page.get_by_test_id("account-link")).to_have_text("Minji")

    logins = page.get_by_test_id("login-session")
    expect(logins).to_have_count(2)
    expect(logins.first).to_contain_text("This one")
    expect(logins.last).to_contain_text("python-httpx")
    shoot_both(page, stack, "account")
    logins.last.get_by_test_id("end-login").click()
    expect(logins).to_have_count(1)

    elsewhere = Client(stack.base_url, login, PASSWORD)
    page.reload()
    expect(logins).to_have_count(2)
    page.get_by_test_id("current-password").fill(PASSWORD)
    page.get_by_test_id("new-password").fill(NEW_PASSWORD)
    page.get_by_test_id("password-save").click()
    expect(page.get_by_text("Your password was changed")).to_be_visible()
    expect(logins).to_have_count(1)
    assert elsewhere.http.post("/api/auth/refresh").status_code == 401
    elsewhere.close()

    page.get_by_test_id("theme-light").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    other = browser.new_context(base_url=stack.base_url, locale="ko-KR").new_page()
    log_in(other, login, NEW_PASSWORD)
    other.context.close()


def test_points_are_listed_with_reasons(page: Page, stack: Stack, viewer: Client) -> None:
    admin = Client(stack.base_url)
    for points, reason in ((250, "Prize of the week"), (-30, "Correction")):
        body = {"points": points, "reason": reason}
        adjusted = admin.http.post(f"/api/admin/points/{viewer.user['id']}/adjustments", json=body)
        assert adjusted.status_code == 201, adjusted.text
    admin.close()
    log_in(page, viewer.user["login_id"], PASSWORD)
    page.goto("/account")
    page.get_by_test_id("points-link").click()
    expect(page.get_by_test_id("points-balance")).to_have_text("220 points")
    rows = page.get_by_test_id("ledger").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Correction")
    expect(rows.first).to_contain_text("-30")
    shoot_both(page, stack, "points")


def test_leaving_says_what_is_erased_and_needs_the_login(page: Page, stack: Stack, viewer: Client) -> None:
    login = viewer.user["login_id"]
    log_in(page, login, PASSWORD)
    page.goto("/account")
    expect(page.get_by_test_id("erased").locator("li")).to_have_count(4)
    page.get_by_test_id("leave").click()
    action = page.get_by_test_id("dialog-submit")
    expect(action).to_be_disabled()
    page.get_by_test_id("confirm-text").fill(login)
    shoot(page, stack, "leave")
    action.click()
    page.get_by_test_id("login-form").wait_for()
    again = viewer.http.post("/api/auth/login", json={"login_id": login, "password": PASSWORD})
    assert again.status_code == 401


def test_page_of_a_film_tells_what_there_is_and_plays(
    page: Page, stack: Stack, viewer: Client, films: list[str]
) -> None:
    log_in(page, viewer.user["login_id"], PASSWORD)
    page.goto(f"/videos/{films[0]}")
    expect(page.get_by_role("heading", level=1, name="Harbour 1")).to_be_visible()
    expect(page.get_by_test_id("tags")).to_contain_text("harbour")
    expect(page.get_by_test_id("tracks")).to_contain_text("Korean")
    expect(page.get_by_test_id("chapter")).to_have_count(1)
    expect(page.get_by_test_id("video-play")).to_have_text("Continue from 0:30")
    shoot_both(page, stack, "video")
    page.get_by_test_id("video-play").focus()
    page.keyboard.press("Enter")
    plays_on(page, 30)


def test_forgotten_password_is_set_anew_with_a_code(page: Page, stack: Stack, admin: Client) -> None:
    login = f"v{uuid4().hex[:12]}"
    member = new_member(stack, login)
    issued = admin.http.post(f"/api/users/{member.user['id']}/password-reset").json()
    page.goto("/login")
    page.get_by_role("link", name="Forgotten, and you have a code?").press("Enter")
    page.wait_for_url("**/reset")
    expect(page).to_have_title("New password · Marquee")
    page.get_by_test_id("reset-code").fill(f" {issued['code']} ")
    page.get_by_test_id("reset-password").fill(NEW_PASSWORD)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITS)
        shoot(page, stack, f"reset-{width}")
    page.keyboard.press("Enter")
    page.get_by_test_id("reset-login").press("Enter")
    page.wait_for_url("**/login")
    log_in(page, login, NEW_PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    member.close()
