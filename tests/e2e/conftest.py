"""A real browser; and what tests of a Marquee with three places share: their module makes it, as `small`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.e2e.browser import ARGUMENTS, CHROMIUM, LIMIT_MS, PlainTab, log_in, viewers_browser
from tests.e2e.client import Client, make_film, new_member
from tests.e2e.play_sessions import PASSWORD, PLAYS, live
from tests.stacks.base import ADMIN_PASSWORD, Stack

expect.set_options(timeout=LIMIT_MS)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright, for one module: while it runs, its thread has a running event loop, and no asyncio test starts."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page of a browser that has never been here, whose console must stay quiet."""
    context = browser.new_context(base_url=stack.base_url, locale="en-US", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(LIMIT_MS)
    opened = context.new_page()
    complaints: list[str] = []
    foreign: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: None if is_local(request.url, stack.base_url) else foreign.append(request.url))
    yield opened
    context.close()
    # A 401 is how the page learns that no user is logged in; the browser writes it to the console by itself.
    assert [text for text in complaints if "401" not in text] == []
    assert foreign == [], "the site asks no other host"


def is_local(url: str, base_url: str) -> bool:
    return url.startswith((base_url, "blob:", "data:"))


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
        context.set_default_timeout(LIMIT_MS)
        opened.append(context)
        page = context.new_page()
        is_admin = client.user["role"] == "admin"
        log_in(page, client.user["login_id"], ADMIN_PASSWORD if is_admin else PASSWORD)
        return context

    yield open_for
    for context in opened:
        context.close()


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


@pytest.fixture
def _all_leave(boss: Client) -> Iterator[None]:
    """End every play session after the test."""
    yield
    for stream in live(boss):
        boss.http.delete(f"/api/admin/streams/{stream['session_id']}")
