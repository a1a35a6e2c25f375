"""Play sessions as viewers and admins meet them, in a real browser: limits, the queue, takeovers, and ways to leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.e2e.browser import PlainTab, plays_on, position, shoot
from tests.e2e.client import Client
from tests.e2e.play_sessions import FITS, PER_USER, PHONE, PLAYS, all_taken, live, small_settings, watch
from tests.stacks.base import Stack, wait_for
from tests.stacks.embedded import EmbeddedStack

IDLE_SEC = 30
FREED_SEC = 12
"""How soon a place is free when its page closes; without a word from the page it would be `IDLE_SEC`."""

pytestmark = pytest.mark.usefixtures("_all_leave")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Marquee with three places and a queue of two."""
    with EmbeddedStack(tmp_path_factory.mktemp("small"), small_settings(IDLE_SEC)) as running:
        yield running


def test_the_fourth_tab_is_refused_and_takes_over(
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
        expect(third.get_by_test_id("try-again")).to_be_enabled()

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
    expect(account.get_by_test_id("devices").locator("li")).to_contain_text("Balcony")


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


def test_back_to_a_page_that_the_browser_kept_plays_on(plain_tab: PlainTab, boss: Client) -> None:
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
