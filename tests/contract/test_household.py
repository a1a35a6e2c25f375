"""One household at one address, with the default limits: real embedded mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import MappingProxyType

import httpx
import pytest

from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD
from tests.stacks.embedded import EmbeddedStack

ID = "0190a6f5-0000-7000-8000-000000000000"
PAGE = ("/api/home", "/api/users/me", "/api/videos", "/api/users/me/history", "/api/health")
DEFAULTS = MappingProxyType({"MARQUEE_RATE_LIMIT_PER_MIN": "", "MARQUEE_USER_RATE_LIMIT_PER_MIN": ""})
CHEAP = MappingProxyType({"MARQUEE_BCRYPT_COST": "4", "MARQUEE_REGISTRATION": "open"})


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(tmp_path_factory.mktemp("household"), {**DEFAULTS, **CHEAP}) as running:
        yield running


def viewer(stack: EmbeddedStack, login: str, password: str) -> httpx.Client:
    """Return a browser that has logged in."""
    client = httpx.Client(base_url=stack.base_url, headers={"X-Requested-With": "fetch"}, timeout=30)
    answer = client.post("/api/auth/login", json={"login_id": login, "password": password})
    assert answer.status_code == 200, answer.text
    return client


def refusals(clients: list[httpx.Client], path: str, times: int) -> int:
    return sum(client.get(path).status_code == 429 for _ in range(times) for client in clients)


def test_household_of_five_stays_under_limits(stack: EmbeddedStack) -> None:
    password = "a quiet evening"
    body = {"login_id": "family", "password": password, "display_name": "Family"}
    assert httpx.post(f"{stack.base_url}/api/auth/register", json=body, timeout=30).status_code == 201
    people = [viewer(stack, ADMIN_LOGIN, ADMIN_PASSWORD), *(viewer(stack, "family", password) for _ in range(4))]
    # Each opens 16 pages in a minute, with a dozen pictures, and an administrator's page polls every few seconds.
    assert sum(refusals(people, path, 16) for path in PAGE) == 0
    assert refusals(people, f"/api/videos/{ID}/thumbnail", 100) == 0
    for client in people:
        client.close()


def test_invalid_requests_of_one_address_do_not_limit_viewers(stack: EmbeddedStack) -> None:
    with httpx.Client(base_url=stack.base_url, timeout=30) as junk:
        refused, sent = 0, 0
        while refused < 20:
            kind = {"Authorization": f"Bearer junk-{sent}"} if sent % 2 else {"Cookie": f"marquee_access=junk-{sent}"}
            refused += junk.get("/api/videos", headers=kind).status_code == 429
            sent += 1
            assert sent < 3_000, "made-up credentials slip through"
        assert sent >= 120
        with closing(viewer(stack, ADMIN_LOGIN, ADMIN_PASSWORD)) as newcomer:
            assert refusals([newcomer], "/api/videos", 20) == 0


def test_one_login_session_has_the_documented_limit(stack: EmbeddedStack) -> None:
    with closing(viewer(stack, ADMIN_LOGIN, ADMIN_PASSWORD)) as busy:
        taken = 0
        while (answer := busy.get("/api/videos")).status_code == 200:
            taken += 1
            assert taken < 3_000, "there is no limit"
        assert taken >= 100
        assert answer.json()["error"]["code"] == "RATE_LIMITED"
        assert answer.headers["RateLimit-Policy"] == '"login";q=100;w=60'
        assert answer.headers["Retry-After"] == "1"
