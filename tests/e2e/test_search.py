"""Search as you type in the site's header, with the keyboard and while an input method composes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.e2e.browser import LIMIT_MS, log_in
from tests.e2e.client import Client, make_film
from tests.stacks.embedded import EmbeddedStack

TITLES = ("한글 영화", "바다 이야기", "The night mail")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedStack, dict[str, str]]]:
    """A Marquee with a few films, and their ids by title."""
    with EmbeddedStack(tmp_path_factory.mktemp("search")) as stack:
        boss = Client(stack.base_url)
        folder = tmp_path_factory.mktemp("films")
        ids: dict[str, str] = {}
        for title in TITLES:
            path: Path = make_film(folder / f"{title}.mp4", seconds=2)
            ids[title] = str(boss.await_status(boss.upload(path), "ready")["id"])
        boss.close()
        yield stack, ids


@pytest.fixture
def page(browser: Browser, films: tuple[EmbeddedStack, dict[str, str]]) -> Iterator[Page]:
    context = browser.new_context(base_url=films[0].base_url, locale="en-US")
    context.set_default_timeout(LIMIT_MS)
    page = context.new_page()
    log_in(page)
    yield page
    context.close()


def compose(session: CDPSession, text: str) -> None:
    """Show a text in the field as one that an input method has not finished."""
    session.send("Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)})


def test_search_by_keyboard(page: Page, films: tuple[EmbeddedStack, dict[str, str]]) -> None:
    _, ids = films
    field, options = page.get_by_test_id("search-input"), page.get_by_test_id("search-result")
    field.click()
    session = page.context.new_cdp_session(page)
    for unfinished in ("ㅎ", "하", "한", "한ㄱ", "한그", "한글"):
        compose(session, unfinished)
        expect(field).to_have_value(unfinished)
        expect(options.first).to_have_text("한글 영화")
    session.send("Input.insertText", {"text": "한글"})
    expect(options.locator("mark")).to_have_text("한글")
    expect(page.get_by_role("group", name="Videos")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", re.compile("search-suggestions-0"))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/watch/{ids['한글 영화']}")

    field.click()
    expect(page.get_by_test_id("search-recent")).to_have_text("한글")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("search-list")).to_have_count(0)
    page.keyboard.type("qkek")
    expect(page.get_by_test_id("search-meant")).to_have_text("Did you mean “바다”?")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?query=qkek")
    page.get_by_test_id("did-you-mean").get_by_role("link").click()
    page.get_by_role("heading", level=1, name="Results for “바다”").wait_for()
    expect(page.get_by_test_id("video-card")).to_have_attribute("data-video-id", ids["바다 이야기"])
