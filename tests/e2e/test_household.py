"""A household behind one address: what five people's tabs ask for in a minute stays under the default limits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, Route, expect

from tests.e2e.browser import log_in, shoot
from tests.e2e.client import HEADERS, make_film
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, wait_for
from tests.stacks.embedded import EmbeddedStack

PER_ADDRESS, PER_USER = 100, 1200
"""The defaults (docs/reference/settings.md)."""
PASSWORD = "longer than eight"
LIMIT_SEC = 60
PEOPLE = ("mother", "father", "daughter", "son")


class Household:
    """Tabs in view side by side, each of another user, and their requests of the API."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.asked: Counter[str] = Counter()
        """Ordinary requests (docs/adr/0018), by tab."""
        self.refused: list[str] = []
        self._under_way: set[Request] = set()
        self._stands_still = False

    def add(self, context: BrowserContext, name: str) -> Page:
        """Opens a tab whose clock only moves with `live`."""
        page = context.new_page()
        page.set_default_timeout(LIMIT_SEC * 1000)

        def note(answer: Response) -> None:
            if answer.status == httpx.codes.TOO_MANY_REQUESTS:
                self.refused.append(answer.url)
            if answer.headers.get("ratelimit-policy", "").startswith(('"address"', '"login"')):
                self.asked[name] += 1

        page.on("response", note)
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)
        page.clock.install()
        self.pages.append(page)
        return page

    def live(self, seconds: int) -> None:
        """Let time pass for all tabs, a second at a time; requests of one second are answered before the next.

        Before the first time their clocks run as ever; afterwards they stand still in between.
        """
        if not self._stands_still:
            for page in self.pages:
                page.clock.pause_at(float(page.evaluate("Date.now()")) / 1000 + 1)
            self._stands_still = True
        self._under_way.clear()
        for _ in range(seconds):
            for page in self.pages:
                page.clock.run_for(1000)
            wait_for(self._is_answered, LIMIT_SEC, f"answers: {[each.url for each in self._under_way]}")

    def _begin(self, request: Request) -> None:
        # The end of requests of a closing page is not reported.
        if request.method == "GET" and request.resource_type == "fetch":
            self._under_way.add(request)

    def _end(self, request: Request) -> None:
        self._under_way.discard(request)

    def _is_answered(self) -> bool:
        # Events are delivered while Playwright waits for an answer.
        for page in self.pages:
            page.evaluate("1")
        return not self._under_way


class Office:
    """The administrator's HTTP client at another address, so that preparing does not count for the household."""

    def __init__(self, stack: EmbeddedStack) -> None:
        transport = httpx.HTTPTransport(local_address="127.0.0.2")
        self.http = httpx.Client(base_url=stack.base_url, transport=transport, headers=HEADERS, timeout=120)
        login = {"login_id": ADMIN_LOGIN, "password": ADMIN_PASSWORD}
        self.http.post("/api/auth/login", json=login).raise_for_status()

    def add_film(self, path: Path) -> str:
        with path.open("rb") as file:
            answer = self.http.post("/api/videos", files={"file": (path.name, file, "video/mp4")})
        video_id = str(answer.raise_for_status().json()["id"])

        def is_ready() -> bool:
            return bool(self.http.get(f"/api/videos/{video_id}/stream/info").is_success)

        wait_for(is_ready, LIMIT_SEC, "the film to be ready")
        return video_id

    def add_person(self, login: str) -> None:
        body = {"login_id": login, "password": PASSWORD, "display_name": login.title()}
        self.http.post("/api/auth/register", json=body).raise_for_status()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[EmbeddedStack]:
    settings = {
        "MARQUEE_RATE_LIMIT_PER_MIN": str(PER_ADDRESS),
        "MARQUEE_USER_RATE_LIMIT_PER_MIN": str(PER_USER),
        "MARQUEE_REGISTRATION": "open",
        "MARQUEE_BCRYPT_COST": "4",
    }
    with EmbeddedStack(tmp_path, settings) as running:
        yield running


@pytest.fixture
def contexts(browser: Browser, stack: EmbeddedStack) -> Iterator[list[BrowserContext]]:
    """A browser for each of five people."""
    opened = [browser.new_context(base_url=stack.base_url, locale="en-US") for _ in range(len(PEOPLE) + 1)]
    yield opened
    for context in opened:
        context.close()


def keep_processing(route: Route) -> None:
    """A list in which the newest film is never done."""
    answer = route.fetch()
    listed = answer.json()
    listed["items"][0] |= {"status": "processing", "thumbnail_url": None}
    route.fulfill(response=answer, json=listed)


def test_five_people_on_one_address_stay_under_the_default_limits(
    stack: EmbeddedStack, contexts: list[BrowserContext], tmp_path: Path
) -> None:
    office = Office(stack)
    film = office.add_film(make_film(tmp_path / "Family night.mp4", seconds=180))
    for name in PEOPLE:
        office.add_person(name)
    household = Household()
    admin, *others = [household.add(context, name) for context, name in zip(contexts, ("admin", *PEOPLE), strict=True)]
    log_in(admin)
    for tab, name in zip(others, PEOPLE, strict=True):
        log_in(tab, name, PASSWORD)
    admin.goto("/admin")
    expect(admin.get_by_test_id("stream-totals")).to_contain_text("0 / 100")
    mother, father, daughter, son = others
    for tab in (mother, father):
        tab.goto(f"/watch/{film}")
        tab.wait_for_function("() => document.querySelector('video')?.currentTime > 0.3")
    daughter.route(re.compile(r"/api/videos\?"), keep_processing)
    daughter.goto("/")
    daughter.locator("[data-status=processing]").first.wait_for()
    son.goto("/account")
    son.get_by_test_id("watching-panel").wait_for()
    opened = dict(household.asked)
    household.live(60)
    expect(admin.get_by_test_id("stream-row")).to_have_count(2)
    shoot(admin, stack, "household")

    minute = {name: household.asked[name] - opened[name] for name in opened}
    assert household.refused == [], minute
    # Even if all requests counted together.
    assert household.asked.total() <= PER_ADDRESS, (opened, minute)
    assert 5 <= minute["admin"] <= 12
    assert minute["mother"] == minute["father"] == 0, "who watches costs the others nothing"
    assert minute["daughter"] <= 10
    assert minute["son"] <= 12
    office.http.close()


def test_hidden_tabs_send_no_requests(stack: EmbeddedStack, contexts: list[BrowserContext]) -> None:
    household = Household()
    admin = household.add(contexts[0], "admin")
    log_in(admin)
    admin.goto("/admin")
    expect(admin.get_by_test_id("stream-totals")).to_contain_text("0 / 100")
    expect(admin.get_by_test_id("pending-users")).to_contain_text("No one is waiting")
    admin.get_by_test_id("all-users").locator("tbody tr").first.wait_for()
    set_visibility = (
        "state => { Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });"
        " document.dispatchEvent(new Event('visibilitychange')) }"
    )
    household.live(1)
    admin.evaluate(set_visibility, "hidden")
    before = household.asked.total()
    household.live(60)
    assert household.asked.total() == before
    # The page shows old data, so it reloads at once.
    with admin.expect_response(re.compile("/api/admin/streams")):
        admin.evaluate(set_visibility, "visible")
