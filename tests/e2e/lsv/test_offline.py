"""A protected film is downloaded, and plays from this browser: without a network, as long as its licence lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.browser import LIMIT_MS, plays_on
from tests.e2e.lsv.server import LICENCE_SEC, ProtectedServer
from tests.stacks.base import wait_for

LIMIT_SEC = LIMIT_MS / 1000
KEPT = """async () => {
    const kept = (await (await caches.open('marquee-app')).keys()).map(({ url }) => new URL(url).pathname);
    const isWhole = kept.includes('/') && kept.some((path) => /loader/.test(path));
    return navigator.serviceWorker.controller !== null && isWhole;
}"""

LOADS = """async (url) => {
    const image = new Image();
    image.src = url.split('#')[0];
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}"""


@pytest.fixture
def context(browser: Browser, server: ProtectedServer) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=server.base_url, locale="en-US", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(LIMIT_MS)
    yield context
    context.close()


@pytest.fixture
def open_page(context: BrowserContext) -> Iterator[Callable[..., Page]]:
    """Open a page of the site, by a clock that may be wrong; what its scripts throw fails the test."""
    errors: list[str] = []

    def open_at(path: str, clock_sec: int = 0) -> Page:
        page = context.new_page()
        page.add_init_script(f"Date.now = ((now) => () => now() + {1000 * clock_sec})(Date.now)")
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path)
        return page

    yield open_at
    assert errors == []


@contextmanager
def no_network(context: BrowserContext, server: ProtectedServer) -> Iterator[None]:
    context.set_offline(True)
    server.faults.away = True
    yield
    server.faults.away = False
    context.set_offline(False)


def download(page: Page) -> None:
    """Download the film of an open watch page, and wait for all of it, and for the site's own files."""
    page.get_by_test_id("download-start").click()
    expect(page.get_by_test_id("download-panel")).to_have_attribute("data-state", "complete")
    page.wait_for_function(KEPT)


def test_downloaded_film_plays_without_a_network(
    context: BrowserContext, open_page: Callable[..., Page], server: ProtectedServer
) -> None:
    watch = f"/watch/{server.pack.video_id}"
    page = open_page(watch)
    plays_on(page, 0)
    download(page)
    assert [licence["video_id"] for licence in server.licences.values()] == [str(server.pack.video_id)]
    page.close()
    fetched = len(server.records)

    with no_network(context, server):
        page = open_page(watch)
        plays_on(page, 0)
        page.get_by_test_id("player").evaluate("video => { video.currentTime = 40 }")
        plays_on(page, 40)
        expect(page.get_by_test_id("lsv-state")).to_have_attribute("data-state", "playing")
        expect(page.get_by_test_id("watermark")).to_have_attribute("data-shown", "true")
        tracks = "[...document.querySelector('[data-testid=player]').textTracks]"
        page.wait_for_function(f"() => {tracks}.some(({{ kind }}) => kind === 'subtitles')")
        picture = page.wait_for_function(
            f"() => {tracks}.find(({{ label }}) => label === 'thumbnails')?.cues?.[0]?.text"
        )
        assert page.evaluate(LOADS, picture.json_value()) == [16, 9], "a picture of the storyboard"
        page.keyboard.press("k")
        expect(page.get_by_test_id("lsv-state")).to_have_attribute("data-state", "paused")
        page.wait_for_function("() => localStorage.getItem('marquee.unsent_positions') === '1'")
    assert not any(at >= 40 for at in server.positions)
    page.reload()
    wait_for(lambda: any(at >= 40 for at in server.positions), LIMIT_SEC, "the position that was kept")
    page.wait_for_function("() => localStorage.getItem('marquee.unsent_positions') === ''")
    assert len(server.records) == fetched, "the film comes from the browser's own store"


def test_licence_that_is_over_plays_nothing_and_neither_does_a_clock_turned_back(
    context: BrowserContext, open_page: Callable[..., Page], server: ProtectedServer
) -> None:
    watch = f"/watch/{server.pack.video_id}"
    page = open_page(watch)
    download(page)
    page.close()
    with no_network(context, server):
        page = open_page(watch, LICENCE_SEC + 60)
        cover = page.get_by_test_id("lsv-cover")
        expect(cover).to_have_attribute("data-notice", "expired")
        expect(page.get_by_test_id("lsv-state")).to_have_attribute("data-state", "license-expired")
        page.close()
        page = open_page(watch)
        expect(page.get_by_test_id("lsv-cover")).to_have_attribute("data-notice", "clock")
        page.close()
    page = open_page("/downloads")
    page.get_by_test_id("download-renew").click()
    expect(page.get_by_test_id("downloads-said")).to_contain_text("It can be watched until")
    page.close()
    with no_network(context, server):
        plays_on(open_page(watch), 0)


def test_download_goes_on_after_the_browser_was_closed_and_can_be_deleted(
    open_page: Callable[..., Page], server: ProtectedServer
) -> None:
    page = open_page(f"/watch/{server.pack.video_id}")
    plays_on(page, 0)
    page.get_by_test_id("player").evaluate("video => video.pause()")
    server.faults.bytes_left = len(server.pack.data) // 2
    page.get_by_test_id("download-start").click()
    expect(page.get_by_test_id("download-status")).to_contain_text("Waiting for the network")
    page.close(run_before_unload=False)
    server.faults.bytes_left = None
    page = open_page("/downloads")
    line = page.get_by_test_id("download")
    expect(line.get_by_test_id("download-status")).to_contain_text("Downloaded")
    expect(line.get_by_test_id("download-term")).to_contain_text("Until")
    line.get_by_test_id("download-remove").click()
    expect(page.get_by_test_id("downloads-empty")).to_be_visible()
    assert server.licences == {}
    left = page.evaluate(
        "async () => { const names = []; const root = await navigator.storage.getDirectory();"
        "for await (const name of (await root.getDirectoryHandle('lsv')).keys()) names.push(name); return names }"
    )
    assert left == []
