"""Requests a minute: by verified user, and by address for what is not verified."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, Request

from kit.auth.authentication import ACCESS_COOKIE, CurrentCaller, has_credentials, protected_router
from kit.auth.tokens import Caller
from kit.errors import ApiError, ErrorCode
from kit.health import Health
from kit.web import limits
from kit.web.app import create_app
from kit.web.limits import RateLimit, RequestLimits

ALICE = Caller("alice", "member", "active", login_session_id="tv")
ALICES_PHONE = Caller("alice", "member", "active", login_session_id="phone")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_allows_a_burst_then_one_request_each_step(clock: Clock) -> None:
    limit = RateLimit(5, clock)
    counts = [limit.take("a") for _ in range(7)]
    assert [(count.is_allowed, count.left) for count in counts] == [
        *((True, left) for left in (4, 3, 2, 1, 0)),
        (False, 0),
        (False, 0),
    ]
    assert counts[-1].wait_sec == pytest.approx(12, abs=0.001)
    assert limit.take("b").is_allowed
    clock.now += 12
    assert limit.take("a").is_allowed
    assert not limit.take("a").is_allowed
    clock.now += 60
    assert [limit.take("a").is_allowed for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("per_minute", [1, 7, 100, 1200, 999_999])
def test_no_rounding_costs_a_request(per_minute: int, clock: Clock) -> None:
    limit = RateLimit(per_minute, clock)
    sent = min(per_minute, 3_000)
    assert all(limit.take("a").is_allowed for _ in range(sent))
    assert limit.take("a").is_allowed == (per_minute > sent)


def test_number_of_keys_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_KEYS", 3)
    limit = RateLimit(2, clock)
    for key in "abcdabcd":
        limit.take(key)
    assert len(limit._full_at) == 3


def test_ipv6_counts_by_64(clock: Clock) -> None:
    requests = RequestLimits(5, 10, clock)
    taken = [requests.count_anonymous("address", f"2001:db8:1:2::{host:x}").is_allowed for host in range(7)]
    assert taken == [True] * 5 + [False] * 2
    assert requests.count_anonymous("address", "2001:db8:1:3::1").is_allowed


def test_a_user_is_not_refused_for_what_others_at_the_address_do(clock: Clock) -> None:
    requests = RequestLimits(5, 100, clock)
    for _ in range(10):
        requests.count_refused("address", "203.0.113.1")
        requests.count_anonymous("address", "203.0.113.1")
    assert [requests.count_verified("address", ALICE, "203.0.113.1").is_allowed for _ in range(6)] == [True] * 5 + [
        False
    ]
    assert requests.count_verified("address", ALICES_PHONE, "203.0.113.1").is_allowed, "a household shares an account"


def test_wrong_credentials_do_not_use_up_the_limit_of_logins(clock: Clock) -> None:
    requests = RequestLimits(5, 10, clock)
    assert [requests.count_refused("address", "203.0.113.1").is_allowed for _ in range(6)] == [True] * 5 + [False]
    assert requests.count_anonymous("address", "203.0.113.1").is_allowed


def test_many_logins_of_a_user_have_one_limit_together(clock: Clock) -> None:
    requests = RequestLimits(5, 12, clock)
    logins = [Caller("alice", "member", "active", login_session_id=str(number)) for number in range(4)]
    verdicts = [requests.count_verified("address", login, "203.0.113.1") for login in logins for _ in range(4)]
    assert [verdict.is_allowed for verdict in verdicts] == [True] * 12 + [False] * 4
    assert verdicts[-1].headers["RateLimit-Policy"] == '"user";q=12;w=60'
    assert not requests.count_verified("user", ALICE, "203.0.113.2").is_allowed


class Tokens:
    """Knows tokens by their first letter; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, request: Request) -> Caller:
        self.asked += 1
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token.startswith("good"):
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        return Caller(token, "member", "active", login_session_id=token)

    def get_cached(self, fields: object) -> Caller | None:
        raise AssertionError


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
async def client(tokens: Tokens, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    protected, public = protected_router(), APIRouter()

    @protected.get("/mine")
    async def mine(caller: CurrentCaller) -> str:
        return caller.user_id

    @public.post("/login")
    async def login() -> str:
        return "hello"

    app = create_app(
        "kit", title="kit", health=Health(), authenticate=tokens, routers={"mine": protected, "public": public}
    )
    app.state.limits = RequestLimits(5, 10, clock)
    transport = httpx.ASGITransport(app, client=("203.0.113.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client


def counted(limited: str, token: str) -> dict[str, str]:
    return {"X-Marquee-Limit": limited, "Authorization": f"Bearer {token}"}


async def test_made_up_tokens_share_the_limit_of_their_address(client: httpx.AsyncClient, tokens: Tokens) -> None:
    statuses = [(await client.get("/mine", headers=counted("address", f"junk-{n}"))).status_code for n in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    assert tokens.asked == 8, "each is asked about once"
    refused = await client.get("/mine", headers=counted("address", "junk"))
    assert refused.json()["error"]["code"] == "RATE_LIMITED"
    assert refused.headers["Retry-After"] == "12"
    assert refused.headers["X-Request-ID"]
    good = await client.get("/mine", headers=counted("address", "good"))
    assert (good.status_code, good.headers["RateLimit"]) == (200, '"login";r=4;t=12')


async def test_public_route_counts_made_up_tokens(client: httpx.AsyncClient) -> None:
    answers = [await client.post("/login", headers=counted("address", f"junk-{n}")) for n in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2


async def test_requests_limited_by_user_count_by_user(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/mine", headers=counted("user", "good-one")) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[-1].headers["RateLimit-Policy"] == '"user";q=10;w=60'
    assert (await client.get("/mine", headers=counted("user", "good-two"))).status_code == 200


@pytest.mark.parametrize("limited", ["", "nonsense"])
async def test_requests_without_limit_header_are_not_counted(client: httpx.AsyncClient, limited: str) -> None:
    answers = [await client.get("/mine", headers=counted(limited, "good")) for _ in range(12)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[0].headers


def test_cookies_of_an_installation_are_credentials() -> None:
    assert has_credentials([(b"cookie", f"a=b; {ACCESS_COOKIE}_1f2e3d4c=x".encode())])
    assert has_credentials([(b"cookie", f"{ACCESS_COOKIE}=x".encode())])
    assert has_credentials([(b"authorization", b"")])
    assert not has_credentials([(b"cookie", b"theme=dark; marquee_refresh_1f2e3d4c=x"), (b"accept", b"*/*")])
