"""Heartbeats of the player, in a real browser: sessions that run out, hidden tabs, fresh tickets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, Response, expect

from tests.e2e.browser import PlainTab, has_metadata, plays_on, position
from tests.e2e.client import Client
from tests.e2e.play_sessions import live, seen_at, small_settings, watch
from tests.stacks.base import Stack, wait_for
from tests.stacks.embedded import EmbeddedStack

IDLE_SEC = 12
LIMIT_SEC = 120

pytestmark = pytest.mark.usefixtures("_all_leave")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Marquee whose play sessions end soon without heartbeats."""
    with EmbeddedStack(tmp_path_factory.mktemp("small"), small_settings(IDLE_SEC)) as running:
        yield running


def test_a_viewer_who_was_offline_for_long_goes_on_at_the_same_place(
    contexts: Callable[[Client], BrowserContext], member: Client, boss: Client, short_film: str
) -> None:
    page = watch(contexts(member), short_film)
    plays_on(page, 0)
    before = live(boss)[0]["session_id"]
    # One heartbeat was answered: a session that ends before its first one is not begun anew unasked.
    with page.expect_response(lambda answer: answer.url.endswith("/heartbeat") and answer.ok):
        pass
    page.keyboard.press("Space")
    left_at = position(page)
    page.context.set_offline(True)
    wait_for(lambda: live(boss) == [], LIMIT_SEC, "the session to run out")
    page.context.set_offline(False)
    wait_for(lambda: [each["session_id"] for each in live(boss)] not in ([], [before]), 60, "another session")
    has_metadata(page)
    assert page.get_by_test_id("player").evaluate("video => video.paused"), "as the viewer left it"
    page.keyboard.press("Space")
    plays_on(page, left_at)
    assert position(page) < left_at + 5
    expect(page.get_by_test_id("error-message")).to_have_count(0)


def test_what_plays_gets_fresh_tickets_without_a_break(
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
    # A URL that is refused is replaced, at the place where the viewer wants to be.
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


def test_heartbeats_go_on_in_a_hidden_tab_that_is_paused(plain_tab: PlainTab, boss: Client) -> None:
    session_id = live(boss)[0]["session_id"]
    # A hidden tab's own timers run about once a minute after a while: as good as never.
    plain_tab.evaluate("document.querySelector('video').pause(); window.setTimeout = () => 0; 1")
    plain_tab.hide()
    plain_tab.wait_for("document.visibilityState === 'hidden'")
    hidden_at = seen_at(boss, session_id)
    enough = hidden_at + timedelta(seconds=2 * IDLE_SEC + 1)
    wait_for(lambda: seen_at(boss, session_id) > enough, LIMIT_SEC, "signs of life of the hidden tab")
