"""How the web site copes: with keyboards, servers that are away, upgrades, failures, and what it remembers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize, expect

from tests.e2e.browser import LIMIT_MS, log_in, plays_on, position, shoot
from tests.e2e.client import Client, make_film
from tests.e2e.outages import Outage, fail_first, too_many
from tests.stacks.base import Stack
from tests.stacks.embedded import EmbeddedStack

PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1440, height=900)
FITS = "document.documentElement.scrollWidth <= innerWidth"
FOCUSED = "() => document.activeElement.localName"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Marquee of its own, whose films and accounts no other test touches."""
    with EmbeddedStack(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def boss(home: Stack) -> Iterator[Client]:
    """The administrator."""
    client = Client(home.base_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film that lasts longer than any test."""
    return make_film(tmp_path_factory.mktemp("site") / "The night mail.mp4", seconds=240)


@pytest.fixture
def film(boss: Client, long_film: Path) -> str:
    """The id of a film that no user has watched."""
    return str(boss.await_status(boss.upload(long_film), "ready")["id"])


@pytest.fixture
def context(browser: Browser, home: Stack) -> Iterator[BrowserContext]:
    """A browser in which the administrator is logged in."""
    made = browser.new_context(base_url=home.base_url, locale="en-US", viewport=DESK)
    made.set_default_timeout(LIMIT_MS)
    log_in(made.new_page())
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A tab of that browser, at the list of videos."""
    tab = context.pages[0]
    tab.goto("/")
    tab.get_by_test_id("logout").wait_for(state="attached")
    return tab


# Keyboard


def test_tab_reaches_every_control_of_the_player(page: Page, home: Stack, film: str) -> None:
    page.goto(f"/watch/{film}")
    plays_on(page, 0)
    page.keyboard.press("Space")
    page.locator("media-controller").focus()
    reached: list[str] = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
        if reached[-1] == "media-fullscreen-button":
            break
    assert reached == [
        "media-time-range",
        "media-play-button",
        "media-seek-backward-button",
        "media-seek-forward-button",
        "media-mute-button",
        "media-volume-range",
        "media-time-display",
        "button",
        "media-playback-rate-button",
        "media-pip-button",
        "media-fullscreen-button",
    ]
    shoot(page, home, "keyboard")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('video').playbackRate === 1.25")


def test_keys_for_speed_and_picture_in_picture(page: Page, film: str) -> None:
    page.goto(f"/watch/{film}")
    plays_on(page, 0)
    speeds = []
    for key in (">", ">", "<", "<", "<", "<", "<"):
        page.keyboard.press(key)
        speeds.append(page.evaluate("document.querySelector('video').playbackRate"))
    assert speeds == [1.25, 1.5, 1.25, 1, 0.75, 0.5, 0.5]
    asked = "mediaenterpiprequest"
    page.evaluate(
        "name => document.querySelector('media-controller')"
        ".addEventListener(name, () => { window.pip = (window.pip ?? 0) + 1 })",
        asked,
    )
    page.keyboard.press("p")
    page.wait_for_function("() => window.pip === 1")


def test_focus_moves_to_start_of_page(page: Page, film: str) -> None:
    focused = "() => document.activeElement.textContent"
    assert page.evaluate(FOCUSED) == "body", "a page that is opened has its own beginning"
    page.get_by_role("link", name="Upload", exact=True).click()
    page.get_by_role("heading", level=1, name="Upload videos").wait_for()
    page.wait_for_function("() => document.activeElement.localName === 'h1'")
    assert page.evaluate(focused) == "Upload videos"
    page.go_back()
    page.wait_for_function("() => document.activeElement.textContent === 'All videos'")
    page.locator(f"[data-testid=video-card][data-video-id='{film}'] a").first.press("Enter")
    page.wait_for_function("() => document.activeElement.localName === 'media-controller'")
    page.get_by_test_id("search-input").click()
    page.keyboard.type("night")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?query=night")
    page.get_by_role("heading", level=1, name="Results for “night”").wait_for()
    assert page.evaluate("document.activeElement.dataset.testid") == "search-input", "who writes goes on writing"


def test_redirect_to_log_in_focuses_first_field(browser: Browser, home: Stack) -> None:
    context = browser.new_context(base_url=home.base_url, locale="en-US")
    tab = context.new_page()
    tab.goto("/admin")
    tab.wait_for_function("() => document.activeElement.dataset.testid === 'login-id'")
    tab.get_by_role("link", name="Create an account").click()
    tab.wait_for_function("() => document.activeElement.textContent === 'Create an account'")
    assert tab.evaluate(FOCUSED) == "h1"
    context.close()


# Chunks of the code


def test_failed_chunk_is_loaded_again(page: Page) -> None:
    asked = fail_first(page, r"/assets/UploadPage-", 2, lambda route: route.abort())
    page.evaluate("window.isTheSamePage = true")
    page.get_by_role("link", name="Upload", exact=True).click()
    page.get_by_test_id("upload-input").wait_for(state="attached")
    assert len(asked) == 3
    assert page.evaluate("window.isTheSamePage"), "nothing was reloaded"


def test_page_is_reloaded_after_upgrade(page: Page) -> None:
    # While the tab runs the old version, the server does not have the chunks that it requests.
    is_old = True

    def handle(route: Route) -> None:
        if is_old:
            route.fulfill(status=404, body="Not Found")
        else:
            route.continue_()

    def on_load(_: Page) -> None:
        nonlocal is_old
        is_old = False

    page.route(re.compile(r"/assets/UploadPage-"), handle)
    page.on("domcontentloaded", on_load)
    page.get_by_role("link", name="Upload", exact=True).click()
    page.get_by_test_id("upload-input").wait_for(state="attached")
    assert not is_old
    assert page.url.endswith("/upload")


def test_missing_chunk_is_reported_after_one_reload(page: Page, home: Stack) -> None:
    loads: list[str] = []
    page.on("domcontentloaded", lambda tab: loads.append(tab.url))
    page.route(re.compile(r"/assets/UploadPage-"), lambda route: route.fulfill(status=404, body="Not Found"))
    page.get_by_role("link", name="Upload", exact=True).click()
    expect(page.get_by_test_id("broken-page")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("This page can\u2019t be loaded")
    assert len(loads) == 1
    shoot(page, home, "broken-page")
    page.set_viewport_size(PHONE)
    assert page.evaluate(FITS)
    shoot(page, home, "broken-page-phone")
    page.get_by_role("link", name="Home", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="All videos")).to_be_visible()


def test_chunk_waits_for_unreachable_server(context: BrowserContext, page: Page) -> None:
    context.set_offline(True)
    page.get_by_role("link", name="Admin", exact=True).click()
    expect(page.get_by_test_id("page-notice")).to_contain_text("Trying again by itself")
    context.set_offline(False)
    expect(page.get_by_role("heading", level=1, name="Administration")).to_be_visible()
    expect(page.get_by_test_id("page-notice")).to_have_count(0)


# An unreachable or rate-limiting server


def test_lists_are_asked_for_again_by_themselves(page: Page, home: Stack, film: str) -> None:
    outage = Outage(page, r"/api/videos\?")
    page.reload()
    error = page.get_by_test_id("error-message")
    expect(error).to_contain_text("can\u2019t be reached")
    expect(error).to_contain_text("Trying again by itself")
    shoot(page, home, "list-waits")
    outage.end()
    expect(page.locator(f"[data-video-id='{film}']").first).to_be_visible()
    expect(error).to_have_count(0)
    assert outage.failed >= 1
    assert outage.passed >= 1


def test_a_refused_page_keeps_its_header_and_waits_as_long_as_it_should(page: Page, home: Stack, film: str) -> None:
    outage = Outage(page, r"/api/users/me$", too_many)
    page.goto("/admin")
    error = page.get_by_test_id("error-message")
    expect(error).to_have_text(re.compile("Too many requests came from here .* Trying again by itself"))
    expect(page.get_by_role("navigation").get_by_role("link", name="Home")).to_be_visible()
    shoot(page, home, "refused-page")
    page.set_viewport_size(PHONE)
    assert page.evaluate(FITS)
    shoot(page, home, "refused-page-phone")
    page.set_viewport_size(DESK)
    outage.end()
    expect(page.get_by_role("heading", level=1, name="Administration")).to_be_visible()
    assert outage.failed >= 1


def test_player_resumes_when_server_is_back(page: Page, home: Stack, film: str) -> None:
    page.goto(f"/watch/{film}")
    plays_on(page, 0)
    outage = Outage(page, r"/stream\?")
    # As when the connection breaks while the film is loading.
    page.evaluate(
        "() => { const video = document.querySelector('video'); video.currentTime = 100; video.src = video.src }"
    )
    cover = page.locator(".stage-cover")
    expect(cover).to_contain_text("Trying again by itself")
    shoot(page, home, "player-waits")
    outage.end()
    plays_on(page, 0)
    assert outage.failed >= 1
    assert outage.passed >= 1
    expect(cover).to_have_count(0)


# Films that fail, or are gone


def test_failed_upload_is_shown_on_upload_page(page: Page, home: Stack, boss: Client, tmp_path: Path) -> None:
    text = tmp_path / "holiday.mp4"
    text.write_text("This is no film. " * 200)
    page.goto("/upload")
    page.get_by_test_id("upload-input").set_input_files(text)
    page.get_by_test_id("upload-submit").click()
    row = page.get_by_test_id("upload-item")
    expect(row).to_have_attribute("data-phase", "unusable")
    expect(row).to_contain_text("This is not a video file, whatever its name says.")
    shoot(page, home, "upload-unusable")
    page.get_by_test_id("lang-ko").click()
    expect(row).to_contain_text("이름과 달리 영상 파일이 아닙니다.")
    page.set_viewport_size(PHONE)
    assert page.evaluate(FITS)
    shoot(page, home, "upload-unusable-phone")
    page.get_by_test_id("lang-en").click()

    first = failed(boss)
    assert len(first) == 1
    # The server deletes files that can never play, so the file is sent again.
    row.get_by_test_id("upload-retry").click()
    page.wait_for_function("() => document.querySelector('[data-testid=upload-item]').dataset.phase !== 'unusable'")
    expect(row).to_have_attribute("data-phase", "unusable")
    assert len(failed(boss)) == 1
    assert failed(boss) != first
    row.get_by_test_id("upload-delete").click()
    expect(row).to_have_count(0)
    assert failed(boss) == []


def failed(boss: Client) -> list[str]:
    items: list[dict[str, Any]] = boss.http.get("/api/videos").json()["items"]
    return [item["id"] for item in items if item["status"] == "failed"]


def test_finished_upload_is_shown_on_upload_page(page: Page, boss: Client, tmp_path: Path) -> None:
    page.goto("/upload")
    page.get_by_test_id("upload-input").set_input_files(make_film(tmp_path / "Short and good.mp4", seconds=2))
    page.get_by_test_id("upload-submit").click()
    row = page.get_by_test_id("upload-item")
    expect(row).to_have_attribute("data-phase", "done")
    row.get_by_role("link", name="Watch").click()
    expect(page.get_by_role("heading", level=1, name="Short and good")).to_be_visible()
    boss.http.delete(f"/api/videos/{page.url.rsplit('/', 1)[1]}")


def test_missing_film_has_its_own_page(page: Page, home: Stack, boss: Client, tmp_path: Path) -> None:
    gone = str(boss.await_status(boss.upload(make_film(tmp_path / "gone.mp4", seconds=2)), "ready")["id"])
    boss.http.delete(f"/api/videos/{gone}")
    for video_id in (gone, "0190a6f5-0000-7000-8000-000000000000", "nonsense"):
        page.goto(f"/watch/{video_id}")
        expect(page.get_by_role("heading", level=1)).to_have_text("This film is not on the programme")
        expect(page.get_by_test_id("error-message")).to_have_count(0)
    expect(page).to_have_title("This film is not on the programme · Marquee")
    shoot(page, home, "missing-film")
    page.set_viewport_size(PHONE)
    assert page.evaluate(FITS)
    shoot(page, home, "missing-film-phone")
    page.get_by_role("link", name="Go to the videos").click()
    expect(page.get_by_role("heading", level=1, name="All videos")).to_be_visible()


# Display and preferences


def test_start_never_shows_given_up_message(context: BrowserContext, page: Page, film: str) -> None:
    context.add_init_script(
        "window.said = []; new MutationObserver(() => { const shown = document.querySelector('[data-testid=stage]');"
        " if (shown) said.push(shown.dataset.phase, shown.textContent) })"
        ".observe(document, { subtree: true, childList: true, characterData: true, attributes: true })"
    )
    for _ in range(5):
        page.goto(f"/watch/{film}")
        plays_on(page, 0)
        said = page.evaluate("window.said")
        assert "active" in said
        assert "closed" not in said
        assert not [text for text in said if "gave up" in text]


def test_volume_speed_and_language_are_remembered(context: BrowserContext, page: Page, film: str) -> None:
    page.goto(f"/watch/{film}")
    plays_on(page, 0)
    for key in ("ArrowDown", "ArrowDown", ">", "m"):
        page.keyboard.press(key)
    page.get_by_test_id("lang-ko").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    page.close()
    again = context.new_page()
    again.goto(f"/watch/{film}")
    again.get_by_test_id("player").wait_for(state="attached")
    again.wait_for_function("() => document.querySelector('video').readyState >= 1")
    chosen = again.evaluate(
        "(({ volume, muted, playbackRate }) => [volume, muted, playbackRate])(document.querySelector('video'))"
    )
    assert chosen == [pytest.approx(0.9), True, 1.25]
    expect(again.locator("html")).to_have_attribute("lang", "ko")
    assert position(again) >= 0


def test_completed_survives_a_second_of_replay(page: Page, boss: Client, tmp_path: Path) -> None:
    short = str(boss.await_status(boss.upload(make_film(tmp_path / "Coda.mp4", seconds=12)), "ready")["id"])
    page.goto(f"/watch/{short}")
    plays_on(page, 0)
    page.get_by_test_id("player").evaluate("video => { video.currentTime = video.duration - 0.2 }")
    page.wait_for_function("() => document.querySelector('video').ended")
    page.keyboard.press("Space")
    plays_on(page, 0.7)
    page.goto("/")
    card = page.locator(f"[data-testid=video-card][data-video-id='{short}']").first
    expect(card.get_by_role("img", name="Watched")).to_be_visible()
    record = boss.http.get(f"/api/progress/{short}").json()
    assert (record["completed"], record["position"] < 11) == (True, True)


def test_health_and_sources_follow_the_language(page: Page, home: Stack, film: str) -> None:
    page.goto("/admin")
    health = page.get_by_test_id("health-panel")
    expect(health).to_contain_text("healthy")
    page.get_by_test_id("lang-ko").click()
    expect(health).to_contain_text("정상")
    expect(health).to_contain_text("데이터베이스")
    expect(health).not_to_contain_text("healthy")
    shoot(page, home, "admin-korean")
    page.set_viewport_size(PHONE)
    assert page.evaluate(FITS)
    shoot(page, home, "admin-korean-phone")
    page.goto(f"/watch/{film}")
    expect(page.get_by_test_id("stream-facts")).to_contain_text(re.compile("미디어 저장소|고속 사본"))
