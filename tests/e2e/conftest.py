"""A real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.e2e.browser import ARGUMENTS, CHROMIUM
from tests.stacks.base import Stack


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page of a browser that has never been here, whose console must stay quiet."""
    context = browser.new_context(base_url=stack.base_url, locale="en-US", viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    complaints: list[str] = []
    foreign: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: None if is_local(request.url, stack.base_url) else foreign.append(request.url))
    yield opened
    context.close()
    # A 401 tells the page that no user is logged in; the browser writes it to the console by itself.
    assert [text for text in complaints if "401" not in text] == []
    assert foreign == [], "the site sends no request to other hosts"


def is_local(url: str, base_url: str) -> bool:
    return url.startswith((base_url, "blob:", "data:"))
