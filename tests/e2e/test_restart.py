"""A server that is restarted while pages are open: they notice, wait and go on by themselves."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from kit.testing.servers import free_port
from tests.e2e.browser import LIMIT_MS, log_in, plays_on
from tests.e2e.client import Client, make_film
from tests.stacks.embedded import EmbeddedStack


def test_pages_go_on_by_themselves_after_a_restart_of_the_server(browser: Browser, tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path, {"MARQUEE_HTTP_PORT": str(free_port())})
    with stack:
        boss = Client(stack.base_url)
        long_film = make_film(tmp_path / "The night mail.mp4", seconds=240)
        film = str(boss.await_status(boss.upload(long_film), "ready")["id"])
        context = browser.new_context(base_url=stack.base_url, locale="en-US", viewport={"width": 1440, "height": 900})
        context.set_default_timeout(LIMIT_MS)
        player, lists = context.new_page(), context.new_page()
        log_in(lists)
        player.goto(f"/watch/{film}")
        plays_on(player, 0)
        stack.stop()
        player.get_by_test_id("player").evaluate("video => { video.currentTime = 200 }")
        lists.get_by_role("link", name="Marquee", exact=True).click()
        lists.get_by_test_id("search-input").fill("night")
        lists.get_by_test_id("search-input").press("Enter")
        for page in (player, lists):
            expect(page.get_by_test_id("error-message").first).to_contain_text(
                "Trying again by itself", timeout=LIMIT_MS
            )
        stack.start()
        expect(lists.locator(f"[data-video-id='{film}']").first).to_be_visible()
        plays_on(player, 200)
        expect(player.get_by_test_id("error-message")).to_have_count(0)
        context.close()
        boss.close()
