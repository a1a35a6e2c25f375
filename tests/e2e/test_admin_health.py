"""What administrators learn of the platform: what is wrong and what to do, and the figures of the last minutes."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.conftest import IN_ONE_PROCESS
from tests.e2e.browser import log_in, shoot
from tests.stacks.base import Stack

pytestmark = IN_ONE_PROCESS

LETTER = {
    "id": "0190a6f5-0000-7000-8000-000000000009",
    "subscription": "stream.videos",
    "event_id": "0190a6f5-0000-7000-8000-000000000001",
    "type": "video.updated",
    "subject": "0190a6f5-0000-7000-8000-000000000002",
    "attempts": 5,
    "reason": "OperationalError",
    "occurred_at": "2026-11-30T10:00:00Z",
    "died_at": "2026-11-30T10:05:00Z",
    "request_id": "r-1",
}


def test_health_says_what_to_do(page: Page, stack: Stack) -> None:
    health = {
        "status": "unhealthy",
        "services": {"catalog": "healthy", "progress": "unhealthy"},
        "dependencies": {"database": "connected", "redis": "disconnected"},
    }
    letters: dict[str, list[object]] = {"items": [LETTER]}
    page.route("**/api/health", lambda route: route.fulfill(json=health))
    page.route("**/api/admin/dead-letters*", lambda route: route.fulfill(json=letters))
    log_in(page)
    page.goto("/admin/health")
    todo = page.get_by_test_id("todo")
    expect(todo.get_by_role("listitem").first).to_contain_text("Redis: Check that Redis runs")
    expect(todo).to_contain_text("progress: Look at the log of this service")
    expect(todo.get_by_role("link", name="1 events could not be handled")).to_be_visible()
    row = page.locator("[data-row-id='progress']")
    expect(row).to_contain_text("Positions, history and points")
    expect(page.locator("[data-row-id='catalog'] .advice")).to_have_count(0)
    shoot(page, stack, "admin-health")

    health |= {"services": {"catalog": "healthy", "progress": "healthy"}, "dependencies": {"redis": "connected"}}
    letters["items"] = []
    page.route(
        "**/api/videos?*", lambda route: route.fulfill(json={"items": [], "page": 1, "page_size": 1, "total": 0})
    )
    page.get_by_test_id("refresh").press("Enter")
    expect(page.get_by_test_id("all-well")).to_have_text("Everything works.")


def test_dashboard_draws_its_figures(page: Page, stack: Stack) -> None:
    scripts: list[str] = []
    page.on("request", lambda request: scripts.append(request.url) if "LiveChart" in request.url else None)
    log_in(page)
    page.goto("/admin/trash")
    expect(page.get_by_role("heading", level=1)).to_have_text("Trash")
    assert scripts == [], "no other page loads the charts"
    page.goto("/admin")
    charts = page.get_by_test_id("live-charts")
    expect(charts.locator("canvas")).to_have_count(2)
    expect(charts).to_contain_text("Films playing: 0 now, at most 0")
    shoot(page, stack, "admin-dashboard")
