"""The limits of embedded mode, which has no nginx in front of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from apps.marquee.gateway import Gateway
from apps.marquee.ratelimit import RateLimits
from kit.tokens import Caller

SERVICES = ("auth", "catalog", "stream", "progress")
ID = "0190a6f5-0000-7000-8000-000000000000"


class Acquaintances:
    """Knows whoever has a token, by it."""

    async def __call__(self, request: Request) -> Caller:
        raise AssertionError("the gateway waits for nobody")

    def known(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        token = fields.get(b"authorization", b"").removeprefix(b"Bearer ").decode()
        return (
            Caller(user_id=token, role="member", status="active", corporation_id="", session_id="") if token else None
        )


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    apps = {name: JSONResponse({"service": name}) for name in SERVICES}
    return Gateway(apps, tmp_path, RateLimits(per_address=5, per_user=10), dict.fromkeys(SERVICES, Acquaintances()))


async def ask(
    gateway: Gateway, path: str, times: int = 1, address: str = "203.0.113.1", **headers: str
) -> list[httpx.Response]:
    transport = httpx.ASGITransport(gateway, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        return [await client.get(path) for _ in range(times)]


async def test_an_address_is_limited_and_told_how_much_is_left(gateway: Gateway) -> None:
    answers = await ask(gateway, "/api/videos", times=7)
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    left = [answer.headers["ratelimit"].split(";")[1] for answer in answers]
    assert left == ["r=4", "r=3", "r=2", "r=1", "r=0", "r=0", "r=0"]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"address";q=5;w=60'}
    refusal = answers[-1]
    assert refusal.json()["error"]["code"] == "RATE_LIMITED"
    assert 50 < int(refusal.headers["retry-after"]) <= 60
    assert (await ask(gateway, "/api/users", address="203.0.113.2"))[0].status_code == 200


async def test_media_health_and_the_site_are_not_counted(gateway: Gateway) -> None:
    for path in (f"/api/videos/{ID}/stream", "/api/health"):
        answers = await ask(gateway, path, times=8)
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[0].headers
    assert {answer.status_code for answer in await ask(gateway, "/nothing.js", times=8)} == {404}


async def test_what_comes_by_the_dozen_is_counted_by_user(gateway: Gateway) -> None:
    path = f"/api/videos/{ID}/thumbnail"
    ones = await ask(gateway, path, times=11, Authorization="Bearer one")
    assert [answer.status_code for answer in ones] == [200] * 10 + [429]
    assert ones[-1].headers["ratelimit-policy"] == '"user";q=10;w=60'
    elsewhere = await ask(gateway, path, address="203.0.113.2", Authorization="Bearer one")
    assert elsewhere[0].status_code == 429, "it is the same user"
    assert (await ask(gateway, path, Authorization="Bearer two"))[0].status_code == 200
    strangers = await ask(gateway, path, times=11)
    assert [answer.status_code for answer in strangers] == [200] * 10 + [429]


async def test_the_refusal_is_in_the_callers_language(gateway: Gateway) -> None:
    answers = await ask(gateway, "/api/videos", times=6, **{"Accept-Language": "ko"})
    assert "요청" in answers[-1].json()["error"]["message"]
