"""One protected film for all tests, and a browser that opens its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.browser import LIMIT_MS
from tests.e2e.client import make_film
from tests.e2e.lsv.packs import Pack, make_pack
from tests.e2e.lsv.server import ProtectedServer

SECONDS = 60


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    folder = tmp_path_factory.mktemp("pack")
    return make_pack(make_film(folder / "night train.mp4", seconds=SECONDS), folder)


@pytest.fixture
def server(pack: Pack) -> Iterator[ProtectedServer]:
    with ProtectedServer(pack) as running:
        yield running


@pytest.fixture
def watch(browser: Browser, server: ProtectedServer) -> Iterator[Callable[..., Page]]:
    """Open the film's page, after a script if there is one; what the page's scripts throw fails the test."""
    context = browser.new_context(base_url=server.base_url, locale="en-US", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(LIMIT_MS)
    errors: list[str] = []

    def open_page(before: str = "") -> Page:
        page = context.new_page()
        page.add_init_script(before)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"/watch/{server.pack.video_id}")
        return page

    yield open_page
    context.close()
    assert errors == []
