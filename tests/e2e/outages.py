"""Servers that are away, or refuse, as a page sees them."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, Route

BUSY = {"error": {"code": "RATE_LIMITED", "message": "Too many requests; wait a moment.", "details": {}}}


class Outage:
    """Requests for a URL fail until the test says that the server is back.

    Args:
        pattern: a regular expression that the URL contains.
        answer: what to do with a request in the server's place; None closes its connection.
    """

    def __init__(self, page: Page, pattern: str, answer: Callable[[Route], None] | None = None) -> None:
        self.failed = 0
        self.passed = 0
        self._is_over = False
        self._answer = answer or (lambda route: route.abort())
        page.route(re.compile(pattern), self._handle)

    def end(self) -> None:
        """Let requests through from now on."""
        self._is_over = True

    def _handle(self, route: Route) -> None:
        if self._is_over:
            self.passed += 1
            route.continue_()
        else:
            self.failed += 1
            self._answer(route)


def fail_first(page: Page, pattern: str, times: int, answer: Callable[[Route], None]) -> list[str]:
    """Answer the first `times` requests for a URL in the server's place; return the list of URLs, which grows."""
    asked: list[str] = []

    def handle(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) <= times:
            answer(route)
        else:
            route.continue_()

    page.route(re.compile(pattern), handle)
    return asked


def too_many(route: Route) -> None:
    """Refuse a request as the gateway refuses a client that sends too many."""
    route.fulfill(status=429, headers={"Retry-After": "1"}, json=BUSY)
