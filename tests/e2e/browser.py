"""What a viewer does in a browser, in words that tests read well with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, Playwright

from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, REPOSITORY, Stack, wait_for

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
]
UNLIKE_VIEWERS = [
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-back-forward-cache",
]
"""What Playwright switches off, and viewers' browsers have."""
LIMIT_MS = 60_000
"""How long a page may take for anything: it bounds a failure on a busy machine; a test waits for conditions only."""
SCREENSHOTS = REPOSITORY / ".cache" / "screenshots"


def log_in(page: Page, login: str = ADMIN_LOGIN, password: str = ADMIN_PASSWORD) -> None:
    page.goto("/")
    page.get_by_test_id("login-id").fill(login)
    page.get_by_test_id("login-password").fill(password)
    page.get_by_test_id("login-submit").click()
    page.get_by_test_id("login-form").wait_for(state="detached")


def shoot(page: Page, stack: Stack, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{stack.name}-{name}.png")


def position(page: Page) -> float:
    return float(page.get_by_test_id("player").evaluate("video => video.currentTime"))


def has_metadata(page: Page) -> None:
    """Waits until the player knows what it plays."""
    page.wait_for_function("() => document.querySelector('[data-testid=player]')?.readyState >= 1", timeout=LIMIT_MS)


def plays_on(page: Page, from_sec: float) -> None:
    """Waits until the picture has moved on from a position."""
    page.wait_for_function(
        "from => { const v = document.querySelector('[data-testid=player]');"
        " return v && !v.paused && v.readyState >= 3 && v.currentTime > from + 0.3 }",
        arg=from_sec,
        timeout=LIMIT_MS,
    )


class PlainTab:
    """A tab that Playwright does not control, so that it is hidden, and kept for Back, like a viewer's.

    Args:
        session: of the whole browser.
        url: what it shows first.
    """

    def __init__(self, session: CDPSession, url: str) -> None:
        self._session = session
        self._answers: dict[int, dict[str, Any]] = {}
        self._asked = 0
        session.on("Target.receivedMessageFromTarget", self._take)
        self._target = session.send("Target.createTarget", {"url": url})["targetId"]
        attached = session.send("Target.attachToTarget", {"targetId": self._target, "flatten": False})
        self._id = attached["sessionId"]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression; None while there is none, as between two pages."""
        self._asked += 1
        asked = self._asked
        parameters = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        message = {"id": asked, "method": "Runtime.evaluate", "params": parameters}
        self._session.send("Target.sendMessageToTarget", {"sessionId": self._id, "message": json.dumps(message)})
        self._wait(lambda: asked in self._answers, f"the value of {expression}")
        return self._answers[asked].get("result", {}).get("result", {}).get("value")

    def wait_for(self, expression: str) -> None:
        """Waits until an expression is true."""
        self._wait(lambda: self.evaluate(expression) is True, expression)

    def hide(self) -> None:
        """Opens another tab in front of it."""
        other = self._session.send("Target.createTarget", {"url": "about:blank"})
        self._session.send("Target.activateTarget", other)

    def close(self) -> None:
        """Closes it, with all that the page does then."""
        self._session.send("Target.closeTarget", {"targetId": self._target})

    def _take(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if event["sessionId"] == self._id and "id" in message:
            self._answers[message["id"]] = message

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        def met() -> bool:
            # Events are delivered while Playwright waits for an answer.
            self._session.send("Browser.getVersion")
            return condition()

        wait_for(met, 60, what)


@contextmanager
def viewers_browser(playwright: Playwright) -> Iterator[Browser]:
    """Chromium that slows hidden tabs down and keeps pages for Back, as viewers' browsers do."""
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, ignore_default_args=UNLIKE_VIEWERS)
    try:
        yield chromium
    finally:
        chromium.close()
