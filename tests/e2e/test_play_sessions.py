"""Play sessions as viewers and admins meet them, in a real browser: limits, the queue, takeovers, and ways to leave."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Response, Route, ViewportSize, expect

from tests.e2e.browser import PlainTab, has_metadata, log_in, plays_on, position, shoot, viewers_browser
from tests.e2e.client import Client, make_film, new_member
from tests.stacks.base import ADMIN_PASSWORD, Stack, wait_for
from tests.stacks.embedded import EmbeddedStack

IDLE_SEC = 6
PER_USER = 3
FREED_SEC = 2.0
"""How soon a place is free when its page closes; without a word from the page it would be `IDLE_SEC`."""
PASSWORD = "longer than eight"
PHONE = ViewportSize(width=390, height=844)
FITS = "document.documentElement.scrollWidth <= innerWidth"
PLAYS = "(v => !!v && !v.paused && v.readyState >= 3 && v.currentTime > 0.3)(document.querySelector('video'))"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Marquee with three places and a queue of two."""
    settings = {
        "MARQUEE_MAX_STREAMS": str(PER_USER),
        "MARQUEE_MAX_STREAMS_PER_USER": str(PER_USER),
        "MARQUEE_STREAM_QUEUE": "2",
        "MARQUEE_SESSION_IDLE_SEC": str(IDLE_SEC),
        "MARQUEE_REGISTRATION": "open",
        "MARQUEE_RATE_LIMIT_PER_MIN": "10000",
    }
    with EmbeddedStack(tmp_path_factory.mktemp("small"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def boss(small: Stack) -> Iterator[Client]:
    """The administrator of the small Marquee."""
    client = Client(small.base_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def long_film(boss: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a film that lasts longer than any test."""
    path = make_film(tmp_path_factory.mktemp("long") / "The last seat.mp4", seconds=180)
    return str(boss.await_status(boss.upload(path), "ready")["id"])


@pytest.fixture(scope="module")
def short_film(boss: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a film that a browser has loaded to its end at once: an answer under way would be a sign of life."""
    path = make_film(tmp_path_factory.mktemp("short") / "Short.mp4", seconds=20)
    return str(boss.await_status(boss.upload(path), "ready")["id"])


@pytest.fixture
def member(small: Stack, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A viewer whom no other test knows."""
    client = new_member(small, f"m{zlib.crc32(request.node.name.encode())}")
    yield client
    client.close()


@pytest.fixture
def contexts(browser: Browser, small: Stack) -> Iterator[Callable[[Client], BrowserContext]]:
    """Browsers of people who are logged in."""
    opened: list[BrowserContext] = []

    def open_for(client: Client) -> BrowserContext:
        context = browser.new_context(base_url=small.base_url, locale="en-US", viewport={"width": 1280, "height": 800})
        opened.append(context)
        page = context.new_page()
        is_admin = client.user["role"] == "admin"
        log_in(page, client.user["login_id"], ADMIN_PASSWORD if is_admin else PASSWORD)
        return context

    yield open_for
    for context in opened:
        context.close()


@pytest.fixture(autouse=True)
def _everybody_leaves(boss: Client) -> Iterator[None]:
    yield
    for stream in live(boss):
        boss.http.delete(f"/api/admin/streams/{stream['session_id']}")


def live(boss: Client) -> list[dict[str, Any]]:
    """All play sessions of the platform."""
    answer = boss.http.get("/api/admin/streams")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def seen_at(boss: Client, session_id: str) -> datetime:
    """The last sign of life of a session, which must not be over."""
    signs = {each["session_id"]: datetime.fromisoformat(each["seen_at"]) for each in live(boss)}
    assert session_id in signs, "the session is over"
    return signs[session_id]


def watch(context: BrowserContext, video_id: str, device: str = "") -> Page:
    """A new tab with the player."""
    page = context.new_page()
    if device:
        page.goto("/")
        page.evaluate("name => localStorage.setItem('marquee.device_name', name)", device)
    page.goto(f"/watch/{video_id}")
    return page


@contextmanager
def all_taken(boss: Client, video_id: str) -> Iterator[list[str]]:
    """All places are taken, by players that send heartbeats; gives the ids of the sessions."""
    ids = []
    for number in range(PER_USER):
        request = {"video_id": video_id, "device_name": f"Cinema {number + 1}"}
        answer = boss.http.post("/api/play-sessions", json=request)
        assert answer.status_code == 201, answer.text
        ids.append(str(answer.json()["session_id"]))
    leave = threading.Event()

    def stay() -> None:
        while not leave.wait(1):
            for each in ids:
                boss.http.post(f"/api/play-sessions/{each}/heartbeat")

    audience = threading.Thread(target=stay)
    audience.start()
    try:
        yield ids
    finally:
        leave.set()
        audience.join()


def test_fourth_tab_is_refused_and_takes_over(
    contexts: Callable[[Client], BrowserContext], member: Client, small: Stack, long_film: str
) -> None:
    context = contexts(member)
    devices = ["Living room TV", "Kitchen tablet", "Old phone"]
    tabs: list[Page] = []
    for device in devices:
        tab = watch(context, long_film, device)
        plays_on(tab, 0)
        tabs.append(tab)
    fourth = watch(context, long_film)
    listed = fourth.get_by_test_id("devices").locator("li")
    expect(listed).to_have_count(PER_USER)
    for row, device in zip(listed.all(), devices, strict=True):
        expect(row).to_contain_text(device)
        expect(row).to_contain_text("The last seat")
    expect(fourth.get_by_test_id("session-status")).to_have_text("You are already watching on 3 devices")
    shoot(fourth, small, "refused")
    fourth.set_viewport_size(PHONE)
    assert fourth.evaluate(FITS), "nothing hangs over the side"
    shoot(fourth, small, "refused-phone")

    fourth.get_by_role("button", name="Stop and play here instead of on Living room TV").press("Enter")
    plays_on(fourth, 0)
    assert fourth.evaluate("document.activeElement.localName") == "media-controller", "the focus is not lost"
    expect(tabs[0].get_by_test_id("gone-reason")).to_contain_text("took this place over")
    expect(tabs[0].get_by_test_id("session-status")).to_contain_text("Playback stopped")
    assert tabs[0].get_by_test_id("player").evaluate("video => video.paused")
    for tab in tabs[1:]:
        assert not tab.get_by_test_id("player").evaluate("video => video.paused")


def test_queued_viewer_plays_when_another_leaves(
    contexts: Callable[[Client], BrowserContext], member: Client, boss: Client, small: Stack, long_film: str
) -> None:
    context = contexts(member)
    with all_taken(boss, long_film) as ids:
        first = watch(context, long_film)
        expect(first.get_by_test_id("queue-position")).to_have_text("1")
        expect(first.get_by_test_id("session-status")).to_contain_text("You are next.")
        second = watch(context, long_film)
        expect(second.get_by_test_id("queue-position")).to_have_text("2")
        shoot(second, small, "queue")
        second.set_viewport_size(PHONE)
        assert second.evaluate(FITS), "nothing hangs over the side"
        shoot(second, small, "queue-phone")

        third = watch(context, long_film)
        expect(third.get_by_test_id("session-status")).to_have_text("Every seat is taken")
        expect(third.get_by_test_id("try-again")).to_be_disabled()
        shoot(third, small, "server-full")
        expect(third.get_by_test_id("try-again")).to_be_enabled(timeout=60_000)

        first.get_by_test_id("leave-queue").click()
        expect(first.get_by_test_id("play-here")).to_be_visible()
        expect(second.get_by_test_id("queue-position")).to_have_text("1")
        assert boss.http.delete(f"/api/play-sessions/{ids[0]}").status_code == 204
        plays_on(second, 0)


def test_closing_a_tab_frees_its_slot(
    contexts: Callable[[Client], BrowserContext], member: Client, boss: Client, long_film: str
) -> None:
    context = contexts(member)
    page = watch(context, long_film)
    plays_on(page, 0)
    assert len(live(boss)) == 1
    page.close(run_before_unload=True)
    wait_for(lambda: live(boss) == [], FREED_SEC, "the place of the closed tab")

    with all_taken(boss, long_film) as ids:
        page = watch(context, long_film)
        expect(page.get_by_test_id("queue-position")).to_have_text("1")
        page.close(run_before_unload=True)
        wait_for(lambda: len(live(boss)) == len(ids), FREED_SEC, "the place in the queue")


def test_leaving_the_page_frees_its_slot_and_reports_quality(
    contexts: Callable[[Client], BrowserContext], member: Client, boss: Client, long_film: str
) -> None:
    page = watch(contexts(member), long_film)
    plays_on(page, 0)
    with page.expect_response(lambda answer: answer.url.endswith("/qoe")) as reported:
        page.locator("a.back").click()
    wait_for(lambda: live(boss) == [], FREED_SEC, "the place of who went on to another page")
    assert reported.value.status == 204
    report = reported.value.request.post_data_json
    assert report is not None
    assert 0 < report["startup_ms"] < 20_000
    assert report["stalls"] >= 0


def test_stop_by_admin_is_shown_to_viewer(
    contexts: Callable[[Client], BrowserContext], member: Client, boss: Client, small: Stack, long_film: str
) -> None:
    page = watch(contexts(member), long_film, "Study")
    plays_on(page, 1)
    dashboard = contexts(boss).new_page()
    dashboard.goto("/admin")
    row = dashboard.get_by_test_id("stream-row")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Study")
    expect(row).to_contain_text("The last seat")
    expect(dashboard.get_by_test_id("stream-totals")).to_contain_text(f"1 / {PER_USER}")
    shoot(dashboard, small, "streams")
    dashboard.set_viewport_size(PHONE)
    assert dashboard.evaluate(FITS), "nothing hangs over the side"
    shoot(dashboard, small, "streams-phone")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('[data-testid=player]').paused")
    row.get_by_test_id("stop-stream").click()
    expect(row).to_have_count(0)

    expect(page.get_by_test_id("gone-reason")).to_have_text("An administrator stopped it.")
    left_at = page.evaluate("document.querySelector('[data-testid=player]').currentTime")
    assert left_at == 0, "nothing is left to play"
    shoot(page, small, "stopped")
    page.get_by_test_id("play-here").click()
    # A viewer who asks for the film wants to see it, paused or not.
    plays_on(page, 1)


def test_stopping_from_the_account_page(
    contexts: Callable[[Client], BrowserContext], member: Client, small: Stack, long_film: str
) -> None:
    context = contexts(member)
    page = watch(context, long_film)
    plays_on(page, 0)
    account = context.new_page()
    account.goto("/")
    account.get_by_test_id("account-link").click()
    account.get_by_test_id("device-name").fill("Balcony")
    account.get_by_test_id("device-save").click()
    expect(account.get_by_test_id("devices").locator("li")).to_contain_text("Chromium on Linux")
    shoot(account, small, "account")
    account.get_by_test_id("stop-device").click()
    expect(account.get_by_test_id("devices")).to_have_count(0)
    expect(page.get_by_test_id("gone-reason")).to_contain_text("stopped from another device")
    page.get_by_test_id("play-here").click()
    plays_on(page, 0)
    expect(account.get_by_test_id("devices").locator("li")).to_contain_text("Balcony", timeout=10_000)


def test_playback_resumes_at_same_position_after_long_offline(
    contexts: Callable[[Client], BrowserContext], member: Client, boss: Client, short_film: str
) -> None:
    page = watch(contexts(member), short_film)
    plays_on(page, 0)
    before = live(boss)[0]["session_id"]
    # One heartbeat was answered: a session that ends before its first one is not restarted automatically.
    with page.expect_response(lambda answer: answer.url.endswith("/heartbeat") and answer.ok):
        pass
    page.keyboard.press("Space")
    left_at = position(page)
    page.context.set_offline(True)
    wait_for(lambda: live(boss) == [], 3 * IDLE_SEC, "the session to run out")
    page.context.set_offline(False)
    wait_for(lambda: [each["session_id"] for each in live(boss)] not in ([], [before]), 60, "another session")
    has_metadata(page)
    assert page.get_by_test_id("player").evaluate("video => video.paused"), "as the viewer left it"
    page.keyboard.press("Space")
    plays_on(page, left_at)
    assert position(page) < left_at + 5
    expect(page.get_by_test_id("error-message")).to_have_count(0)


def test_unavailable_server_is_asked_again(
    contexts: Callable[[Client], BrowserContext], member: Client, small: Stack, long_film: str
) -> None:
    page = contexts(member).new_page()
    error = {"error": {"code": "SERVICE_UNAVAILABLE", "message": "Not now.", "details": {}}}
    asked: list[float] = []

    def answer(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) < 3:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json=error)
        else:
            route.continue_()

    page.route("**/api/play-sessions", answer)
    page.goto(f"/watch/{long_film}")
    expect(page.get_by_test_id("session-panel")).to_contain_text("Not now.")
    expect(page.get_by_test_id("session-status")).to_contain_text("Trying again by itself")
    shoot(page, small, "unavailable")
    plays_on(page, 0)
    assert asked[1] - asked[0] >= 1.4
    assert asked[2] - asked[1] >= 1.9, "ever more slowly"


def test_finished_film_frees_its_slot(
    contexts: Callable[[Client], BrowserContext], member: Client, boss: Client, short_film: str
) -> None:
    page = contexts(member).new_page()
    page.clock.install()
    page.goto(f"/watch/{short_film}")
    plays_on(page, 0)
    page.get_by_test_id("player").evaluate("video => { video.currentTime = video.duration - 1 }")
    page.wait_for_function("() => document.querySelector('[data-testid=player]').ended")
    assert len(live(boss)) == 1, "the viewer may go back to a scene"
    page.clock.fast_forward(60_000)
    expect(page.get_by_test_id("session-status")).to_have_text("The end")
    wait_for(lambda: live(boss) == [], FREED_SEC, "the place of who has seen it all")
    page.get_by_test_id("play-here").click()
    plays_on(page, 0)
    assert position(page) < 10


def test_tickets_are_renewed_without_interrupting_playback(
    contexts: Callable[[Client], BrowserContext], member: Client, long_film: str
) -> None:
    page = watch(contexts(member), long_film)
    plays_on(page, 0)
    player = page.get_by_test_id("player")
    source = player.get_attribute("src")
    tickets: set[str] = set()

    def note(answer: Response) -> None:
        if answer.url.endswith("/heartbeat"):
            tickets.add(answer.json()["ticket"])

    page.on("response", note)
    player.evaluate("video => { window.breaks = 0; video.addEventListener('emptied', () => { window.breaks += 1 }) }")
    with page.expect_response(lambda answer: answer.url.endswith("/heartbeat")):
        pass
    with page.expect_response(lambda answer: answer.url.endswith("/heartbeat")):
        pass
    assert (player.get_attribute("src"), page.evaluate("window.breaks")) == (source, 0)
    # A refused URL is replaced, at the position that the viewer sought.
    page.route(
        "**/stream?*",
        lambda route: route.fulfill(status=401) if route.request.url.endswith(source or "") else route.continue_(),
    )
    player.evaluate("video => { video.currentTime = 150 }")
    page.wait_for_function(
        "old => document.querySelector('[data-testid=player]').getAttribute('src') !== old", arg=source
    )
    plays_on(page, 150)
    assert any(ticket in (player.get_attribute("src") or "") for ticket in tickets)
    expect(page.get_by_test_id("error-message")).to_have_count(0)


@pytest.fixture
def plain_tab(playwright: Playwright, small: Stack, member: Client, short_film: str) -> Iterator[PlainTab]:
    """A tab in which a film plays, in a browser that is like a viewer's."""
    with viewers_browser(playwright) as chromium:
        session = chromium.new_browser_cdp_session()
        tab = PlainTab(session, f"{small.base_url}/login")
        tab.wait_for("document.readyState === 'complete' && !!document.querySelector('input')")
        login = f"{{login_id: '{member.user['login_id']}', password: '{PASSWORD}'}}"
        headers = "{'Content-Type': 'application/json', 'X-Requested-With': 'marquee-tests'}"
        tab.wait_for(
            f"fetch('/api/auth/login', {{method: 'POST', headers: {headers}, body: JSON.stringify({login})}})"
            ".then(answer => answer.ok)"
        )
        tab.evaluate(f"location.href = '/watch/{short_film}'")
        tab.wait_for(PLAYS)
        yield tab


def test_heartbeats_continue_in_hidden_paused_tab(plain_tab: PlainTab, boss: Client) -> None:
    session_id = live(boss)[0]["session_id"]
    # After a while, a hidden tab's own timers run about once a minute, which is too rare.
    plain_tab.evaluate("document.querySelector('video').pause(); window.setTimeout = () => 0; 1")
    plain_tab.hide()
    plain_tab.wait_for("document.visibilityState === 'hidden'")
    hidden_at = seen_at(boss, session_id)
    enough = hidden_at + timedelta(seconds=2 * IDLE_SEC + 1)
    wait_for(lambda: seen_at(boss, session_id) > enough, 4 * IDLE_SEC, "signs of life of the hidden tab")
    plain_tab.close()
    wait_for(lambda: live(boss) == [], FREED_SEC, "the place of the closed tab")


def test_page_restored_from_browser_cache_plays(plain_tab: PlainTab, boss: Client) -> None:
    before = live(boss)[0]["session_id"]
    plain_tab.evaluate("window.wasKept = true; document.querySelector('video').currentTime = 8; 1")
    plain_tab.wait_for("document.querySelector('video').currentTime > 8.3")
    plain_tab.evaluate("location.href = '/docs/'")
    plain_tab.wait_for("location.pathname === '/docs/' && document.readyState === 'complete'")
    wait_for(lambda: live(boss) == [], FREED_SEC, "the place of who went to another page")
    plain_tab.evaluate("history.back()")
    plain_tab.wait_for("window.wasKept === true")
    plain_tab.wait_for(PLAYS)
    plain_tab.wait_for("document.querySelector('video').currentTime > 8")
    assert [each["session_id"] for each in live(boss)] not in ([], [before])
