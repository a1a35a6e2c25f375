"""What a viewer does in a browser, in words that tests read well with."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, REPOSITORY, Stack

SCREENSHOTS = REPOSITORY / ".cache" / "screenshots"


def log_in(page: Page) -> None:
    page.goto("/")
    page.get_by_test_id("login-id").fill(ADMIN_LOGIN)
    page.get_by_test_id("login-password").fill(ADMIN_PASSWORD)
    page.get_by_test_id("login-submit").click()
    page.get_by_test_id("login-form").wait_for(state="detached")


def shoot(page: Page, stack: Stack, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{stack.name}-{name}.png")


def position(page: Page) -> float:
    return float(page.get_by_test_id("player").evaluate("video => video.currentTime"))


def has_metadata(page: Page) -> None:
    """Waits until the player knows what it plays."""
    page.wait_for_function("() => document.querySelector('[data-testid=player]')?.readyState >= 1", timeout=20_000)


def plays_on(page: Page, from_sec: float) -> None:
    """Waits until the picture has moved on from a position."""
    page.wait_for_function(
        "from => { const v = document.querySelector('[data-testid=player]');"
        " return v && !v.paused && v.readyState >= 3 && v.currentTime > from + 0.3 }",
        arg=from_sec,
        timeout=20_000,
    )
