"""Every page as axe sees it: names, roles, headings, labels, and contrast in both themes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import IN_ONE_PROCESS
from tests.e2e.browser import has_metadata, log_in
from tests.e2e.client import Client, make_film
from tests.stacks.base import REPOSITORY, Stack

pytestmark = IN_ONE_PROCESS

AXE = REPOSITORY / "web/node_modules/axe-core/axe.min.js"
RUN = """async (options) => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'], ...options });
    return violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target.flat().join(' '))]);
}"""
SET_THEME = """async (theme) => {
    document.documentElement.dataset.theme = theme;
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const changing = document.getAnimations().filter((each) => each instanceof CSSTransition);
    await Promise.allSettled(changing.map(({ finished }) => finished));
}"""
"""Resolves when nothing fades from one theme into the other any more."""
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ADMIN_PAGES = (
    "", "health", "contents", "series", "highlights", "titles", "users", "points", "corporations", "trash", "licences",
    "imports", "dead-letters", "audit", "views",
)  # fmt: skip


@pytest.fixture(scope="module")
def film(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The id of a film with a highlight and subtitles, in a series and in the administrator's lists."""
    admin = Client(stack.base_url)
    path: Path = make_film(tmp_path_factory.mktemp("axe") / "film.mp4", seconds=21)
    video_id = admin.upload(path, f"Harbour {uuid4().hex[:6]}")
    admin.await_artwork(video_id)
    series = admin.http.post("/api/series", json={"title": "Ports"}).json()["id"]
    labels = {"tags": ["harbour"], "description": "Ships at night.", "series_id": series, "season": 1, "episode": 1}
    for answer in (
        admin.http.patch(f"/api/videos/{video_id}", json=labels),
        admin.http.post(f"/api/videos/{video_id}/highlights", json={"start": 3, "end": 9, "title": "The bluff"}),
        admin.http.put(f"/api/videos/{video_id}/subtitles/ko", content="WEBVTT\n\n00:01.000 --> 00:05.000\nHello\n"),
        admin.http.put(f"/api/progress/{video_id}", json={"position": 9, "duration": 21}),
        admin.http.put(f"/api/users/me/watchlist/{video_id}"),
        admin.http.post("/api/users/me/bookmarks", json={"video_id": video_id, "position_sec": 5, "note": "Here"}),
    ):
        assert answer.is_success, answer.text
    yield video_id
    admin.http.delete(f"/api/users/me/watchlist/{video_id}")
    admin.http.delete(f"/api/videos/{video_id}")
    admin.http.delete(f"/api/series/{series}")
    admin.close()


def violations(page: Page, where: str) -> dict[str, Any]:
    """Return what axe finds on the page as it is, by rule, in both themes."""
    page.wait_for_function("() => document.querySelector('[aria-busy=true]') === null")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = {
        f"{where}: {rule}": nodes
        for rule, nodes in page.evaluate(RUN, {"runOnly": {"type": "tag", "values": STANDARDS}})
    }
    page.evaluate(SET_THEME, "light")
    contrast = page.evaluate(RUN, {"runOnly": {"type": "rule", "values": ["color-contrast"]}})
    page.evaluate(SET_THEME, "dark")
    return found | {f"{where}, light: {rule}": nodes for rule, nodes in contrast}


def test_axe_finds_nothing_on_forms(page: Page) -> None:
    found: dict[str, Any] = {}
    page.emulate_media(reduced_motion="reduce")
    for address in ("/login", "/register", "/reset"):
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        found |= violations(page, address)
    assert found == {}


def test_axe_finds_nothing_on_viewers_pages(page: Page, stack: Stack, admin: Client, film: str) -> None:
    series = admin.video(film)["series_id"]
    found: dict[str, Any] = {}
    page.emulate_media(reduced_motion="reduce")
    log_in(page)
    for address in (
        "/", "/?query=harbour", "/highlights", "/watchlist", "/history", "/bookmarks", "/downloads", "/upload",
        "/account", "/account/points", f"/series/{series}", f"/videos/{film}", "/nowhere",
    ):  # fmt: skip
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        found |= violations(page, address)
    page.goto(f"/watch/{film}")
    has_metadata(page)
    page.get_by_test_id("player").evaluate("video => video.pause()")
    found |= violations(page, "/watch")
    assert found == {}


def test_axe_finds_nothing_in_the_administration(page: Page, film: str) -> None:
    found: dict[str, Any] = {}
    page.emulate_media(reduced_motion="reduce")
    log_in(page)
    for section in ADMIN_PAGES:
        page.goto(f"/admin/{section}".rstrip("/"))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        found |= violations(page, f"/admin/{section}")
    page.goto("/admin/contents")
    for button, dialog in (
        ("edit-content", "edit-dialog"),
        ("subtitles", "subtitles-dialog"),
        ("protection", "protection-dialog"),
    ):
        page.get_by_test_id(button).first.click()
        expect(page.get_by_test_id(dialog)).to_be_visible()
        found |= violations(page, dialog)
        page.keyboard.press("Escape")
    page.goto(f"/admin/highlights?video_id={film}")
    has_metadata(page)
    found |= violations(page, "the editor of highlights")
    assert found == {}
