"""The limits of embedded mode, which has no nginx in front of it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, Request

from apps.marquee.gateway import Gateway
from kit.auth.authentication import CurrentCaller, protected_router
from kit.auth.tokens import Caller
from kit.errors import ApiError, ErrorCode
from kit.health import Health
from kit.web.app import create_app
from kit.web.limits import RequestLimits

SERVICES = ("auth", "catalog", "stream", "progress")
ID = "0190a6f5-0000-7000-8000-000000000000"


class Tokens:
    """Verifies tokens that begin with `good`."""

    async def __call__(self, request: Request) -> Caller:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token.startswith("good"):
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        return Caller(user_id=token, role="member", status="active", login_session_id=token)

    def get_cached(self, fields: object) -> Caller | None:
        raise AssertionError("unknown credentials must be verified, not guessed")


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    limits = RequestLimits(per_address=5, per_user=10)
    apps = {}
    for name in SERVICES:
        router: APIRouter = protected_router() if name != "auth" else APIRouter()
        if name == "auth":

            @router.get("/api/auth/{rest:path}")
            async def open_route(rest: str) -> str:
                return rest

        else:

            @router.get("/api/{rest:path}")
            async def mine(caller: CurrentCaller, rest: str) -> str:
                return caller.user_id + rest

        apps[name] = create_app(name, title=name, health=Health(), authenticate=Tokens(), routers={name: router})
        apps[name].state.limits = limits
    return Gateway(apps, tmp_path, limits)


async def ask(
    gateway: Gateway, path: str, times: int = 1, address: str = "203.0.113.1", **headers: str
) -> list[httpx.Response]:
    transport = httpx.ASGITransport(gateway, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        return [await client.get(path) for _ in range(times)]


def statuses(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


async def test_address_is_limited_and_sees_remaining_requests(gateway: Gateway) -> None:
    answers = await ask(gateway, "/api/auth/me", times=7)
    assert statuses(answers) == [200] * 5 + [429] * 2
    left = [answer.headers["ratelimit"].split(";")[1] for answer in answers]
    assert left == ["r=4", "r=3", "r=2", "r=1", "r=0", "r=0", "r=0"]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"address";q=5;w=60'}
    refusal = answers[-1]
    assert refusal.json()["error"]["code"] == "RATE_LIMITED"
    assert 0 < int(refusal.headers["retry-after"]) <= 12
    assert (await ask(gateway, "/api/auth/me", address="203.0.113.2"))[0].status_code == 200


async def test_an_ipv6_network_is_one_address(gateway: Gateway) -> None:
    answers = [(await ask(gateway, "/api/auth/me", address=f"2001:db8:1:2::{host}"))[0] for host in range(1, 8)]
    assert statuses(answers) == [200] * 5 + [429] * 2
    assert (await ask(gateway, "/api/auth/me", address="2001:db8:1:3::1"))[0].status_code == 200


async def test_media_health_and_site_are_not_counted(gateway: Gateway) -> None:
    for path in (f"/api/videos/{ID}/stream", "/api/health"):
        answers = await ask(gateway, path, times=8, Authorization="Bearer good")
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[0].headers
    assert {answer.status_code for answer in await ask(gateway, "/nothing.js", times=8)} == {404}


async def test_frequent_requests_are_counted_by_user(gateway: Gateway) -> None:
    path = f"/api/videos/{ID}/thumbnail"
    ones = await ask(gateway, path, times=11, Authorization="Bearer good-one")
    assert statuses(ones) == [200] * 10 + [429]
    assert ones[-1].headers["ratelimit-policy"] == '"user";q=10;w=60'
    elsewhere = await ask(gateway, path, address="203.0.113.2", Authorization="Bearer good-one")
    assert elsewhere[0].status_code == 429, "it is the same user"
    assert (await ask(gateway, path, Authorization="Bearer good-two"))[0].status_code == 200
    assert statuses(await ask(gateway, path, times=11)) == [401] * 10 + [429]


async def test_invalid_credentials_count_for_the_address_only(gateway: Gateway) -> None:
    junk = [(await ask(gateway, "/api/videos", Authorization=f"Bearer junk-{n}"))[0] for n in range(4)]
    junk += [(await ask(gateway, "/api/videos", Cookie=f"marquee_access_1f2e3d4c=junk-{n}"))[0] for n in range(4)]
    assert statuses(junk) == [401] * 5 + [429] * 3
    for viewer in ("good-new", "good-other"):
        answers = await ask(gateway, "/api/videos", times=5, Authorization=f"Bearer {viewer}")
        assert statuses(answers) == [200] * 5, "a viewer who was never seen before"
    assert (await ask(gateway, "/api/auth/login"))[0].status_code == 200, "and one who has no token yet"


async def test_client_can_not_choose_what_it_is_counted_as(gateway: Gateway) -> None:
    headers = {"Authorization": "Bearer good", "X-Marquee-Limit": "user"}
    assert statuses(await ask(gateway, "/api/videos", times=6, **headers)) == [200] * 5 + [429]


async def test_refusal_is_in_the_callers_language(gateway: Gateway) -> None:
    answers = await ask(gateway, "/api/auth/me", times=6, **{"Accept-Language": "ko"})
    assert "요청" in answers[-1].json()["error"]["message"]
