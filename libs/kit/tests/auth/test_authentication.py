"""Who is calling: tokens, Basic credentials and cookies at the HTTP edge."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request
from hypothesis import given
from hypothesis import strategies as st

from kit.auth import authentication as callers
from kit.auth.authentication import (
    ACCESS_COOKIE,
    CSRF_HEADER,
    Authenticator,
    CurrentAdmin,
    CurrentCaller,
    parse_basic,
    protected_router,
)
from kit.auth.tokens import Caller, TokenVerifier
from kit.errors import ApiError, ErrorCode
from kit.health import Health
from kit.web.app import create_app
from kit.web.limits import RequestLimits

BROWSER = {CSRF_HEADER: "fetch"}


def basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


class Verifier(TokenVerifier):
    """Believes tokens that read `<user>/<status>/<role>`."""

    def __init__(self) -> None:
        async def no_keys() -> str:
            raise NotImplementedError

        super().__init__(no_keys)
        self.asked = 0
        self.verified: dict[str, Caller] = {}

    def get_cached(self, token: str) -> Caller | None:
        return self.verified.get(token)

    async def verify(self, token: str) -> Caller:
        self.asked += 1
        try:
            user, status, role = token.split("/")
        except ValueError as error:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN) from error
        self.verified[token] = Caller(user, role, status)
        return self.verified[token]


class Passwords:
    """Knows one login."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.status = "active"

    async def verify(self, login: str, password: str, client: str) -> Caller:
        self.asked.append((login, password, client))
        await asyncio.sleep(0)
        if (login, password) != ("홍길동", "비밀:번호 1"):
            raise ApiError(ErrorCode.AUTH_INVALID_CREDENTIALS)
        return Caller("u1", "member", self.status)


@pytest.fixture
def passwords() -> Passwords:
    return Passwords()


@pytest.fixture
async def client(passwords: Passwords) -> AsyncIterator[httpx.AsyncClient]:
    router = protected_router()

    @router.get("/me")
    @router.post("/me")
    @router.delete("/me")
    async def me(caller: CurrentCaller, again: CurrentCaller) -> str:
        assert caller is again
        return caller.user_id

    @router.get("/admin")
    async def admin(caller: CurrentAdmin) -> str:
        return caller.user_id

    @router.get("/silent")
    async def silent() -> str:
        return "protected although it never asks who calls"

    public = APIRouter()

    @public.get("/open")
    async def open_() -> str:
        return "hello"

    app = create_app(
        "kit",
        title="kit",
        health=Health(),
        authenticate=Authenticator(Verifier(), passwords.verify),
        routers={"protected": router, "public": public},
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("9.9.9.9", 1)), base_url="http://t"
    ) as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_security_schemes_are_documented_and_not_resolved(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(callers._Documented, "__call__", resolve)
    assert (await client.get("/me", headers={"Authorization": "Bearer alice/active/member"})).status_code == 200
    app = client._transport.app  # type: ignore[attr-defined]
    (schemes,) = {json.dumps(app.openapi()["paths"][path]["get"]["security"]) for path in ("/me", "/silent")}
    assert json.loads(schemes) == [{"bearer": []}, {"password": []}, {"basic": []}, {"cookie": []}]


@pytest.mark.parametrize("path", ["/me", "/silent", "/admin"])
async def test_refuses_requests_without_credentials(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert code(answer) == (401, "AUTH_INVALID_TOKEN")
    assert answer.headers.get_list("WWW-Authenticate") == [
        'Bearer realm="marquee"',
        'Basic realm="marquee", charset="UTF-8"',
    ]


async def test_public_routes_authenticate_no_caller(client: httpx.AsyncClient) -> None:
    assert (await client.get("/open", headers={"Authorization": "Bearer nonsense"})).json() == "hello"


@pytest.mark.parametrize("authorization", ["Bearer old", "Bearer x", "Bearer", "Basic eDp5", "Basic", "Digest x", "x"])
async def test_script_of_a_page_gets_no_basic_challenge(client: httpx.AsyncClient, authorization: str) -> None:
    answer = await client.get("/me", headers={"Authorization": authorization, **BROWSER})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="marquee"'


async def test_accepts_bearer_scheme_in_any_case(client: httpx.AsyncClient) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = await client.post("/me", headers={"Authorization": f"{scheme} u1/active/member"})
        assert answer.json() == "u1"


async def test_refused_token_is_answered_like_a_missing_one(client: httpx.AsyncClient) -> None:
    refused = await client.get("/me", headers={"Authorization": "Bearer old"})
    assert code(refused) == (401, "AUTH_INVALID_TOKEN")
    assert refused.json() == (await client.get("/me")).json()


@pytest.mark.parametrize(
    ("status", "expected"),
    [("pending", "AUTH_USER_PENDING"), ("suspended", "AUTH_USER_SUSPENDED"), ("deleted", "AUTH_USER_SUSPENDED")],
)
async def test_refuses_accounts_that_are_not_active(
    client: httpx.AsyncClient, passwords: Passwords, status: str, expected: str
) -> None:
    bearer = await client.get("/me", headers={"Authorization": f"Bearer u1/{status}/admin"})
    assert code(bearer) == (403, expected)
    assert "WWW-Authenticate" not in bearer.headers
    passwords.status = status
    assert code(await client.get("/me", headers=basic("홍길동", "비밀:번호 1"))) == (403, expected)


async def test_refuses_members_on_routes_of_administrators(client: httpx.AsyncClient) -> None:
    assert code(await client.get("/admin", headers={"Authorization": "Bearer u1/active/member"})) == (
        403,
        "AUTH_FORBIDDEN",
    )
    assert (await client.get("/admin", headers={"Authorization": "Bearer u1/active/admin"})).json() == "u1"


async def test_cookie_needs_csrf_header_for_unsafe_methods_only(client: httpx.AsyncClient) -> None:
    client.cookies.set(ACCESS_COOKIE, "u1/active/member")
    assert (await client.get("/me")).json() == "u1"
    for method in ("POST", "DELETE"):
        assert code(await client.request(method, "/me")) == (403, "AUTH_FORBIDDEN")
        assert (await client.request(method, "/me", headers=BROWSER)).json() == "u1"


async def test_credentials_in_the_header_win_over_the_cookie(client: httpx.AsyncClient) -> None:
    client.cookies.set(ACCESS_COOKIE, "u1/active/member")
    assert (await client.post("/me", headers={"Authorization": "Bearer u2/active/member"})).json() == "u2"
    assert (await client.get("/me", headers={"Authorization": "Bearer x"})).status_code == 401


async def test_basic_credentials_are_verified_once(client: httpx.AsyncClient, passwords: Passwords) -> None:
    headers = basic("홍길동", "비밀:번호 1")
    for _ in range(3):
        assert (await client.get("/me", headers=headers)).json() == "u1"
    assert passwords.asked == [("홍길동", "비밀:번호 1", "9.9.9.9")]


async def test_concurrent_requests_verify_basic_once(client: httpx.AsyncClient, passwords: Passwords) -> None:
    headers = basic("홍길동", "비밀:번호 1")
    answers = await asyncio.gather(*(client.get("/me", headers=headers) for _ in range(16)))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert len(passwords.asked) == 1


async def test_wrong_basic_credentials_are_never_cached(client: httpx.AsyncClient, passwords: Passwords) -> None:
    for _ in range(3):
        assert code(await client.get("/me", headers=basic("홍길동", "x"))) == (401, "AUTH_INVALID_CREDENTIALS")
    assert len(passwords.asked) == 3
    assert (await client.get("/me", headers=basic("홍길동", "비밀:번호 1"))).status_code == 200


async def test_basic_credentials_are_verified_again_after_the_cache_time(
    client: httpx.AsyncClient, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = 0.0
    monkeypatch.setattr(callers, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead))
    headers = basic("홍길동", "비밀:번호 1")
    await client.get("/me", headers=headers)
    ahead = callers._BASIC_CACHE_SEC + 0.1
    passwords.status = "suspended"
    assert code(await client.get("/me", headers=headers)) == (403, "AUTH_USER_SUSPENDED")


async def test_change_of_an_account_drops_its_cached_credentials(passwords: Passwords) -> None:
    authenticator = Authenticator(Verifier(), passwords.verify)
    request = a_request({b"authorization": basic("홍길동", "비밀:번호 1")["Authorization"].encode()})
    await authenticator(request)
    authenticator.revoke_account("another user", 1)
    await authenticator(request)
    assert len(passwords.asked) == 1
    authenticator.revoke_account("u1", 0)
    await authenticator(request)
    assert len(passwords.asked) == 2


async def test_answer_from_before_a_change_is_not_cached(passwords: Passwords) -> None:
    authenticator = Authenticator(Verifier(), passwords.verify)
    request = a_request({b"authorization": basic("홍길동", "비밀:번호 1")["Authorization"].encode()})
    asking = asyncio.ensure_future(authenticator(request))
    while not passwords.asked:  # noqa: ASYNC110 - nothing tells that the question was put
        await asyncio.sleep(0)
    authenticator.revoke_account("u1", 0)
    await asking
    await authenticator(request)
    assert len(passwords.asked) == 2


async def test_cache_of_basic_credentials_is_bounded(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "_BASIC_CACHE_ENTRIES", 2)

    async def anybody(login: str, _password: str, _client: str) -> Caller:
        return Caller(login, "member", "active")

    authenticator = Authenticator(Verifier(), anybody)
    for number in range(5):
        headers = [(b"authorization", basic(f"u{number}", "x")["Authorization"].encode())]
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
        assert (await authenticator(Request(scope))).user_id == f"u{number}"
    assert len(authenticator._basic) == 2
    assert not authenticator._asking
    assert passwords.asked == []


@pytest.mark.parametrize(
    "credentials",
    ["é", "a", "====", "YWJj", base64.b64encode(b"\xff:\xfe").decode(), "YTpi YTpi", "x" * 3000],
)
async def test_malformed_basic_credentials_are_wrong_ones(
    client: httpx.AsyncClient, passwords: Passwords, credentials: str
) -> None:
    header = [(b"authorization", b"Basic " + credentials.encode("latin-1"))]
    assert code(await client.get("/me", headers=header)) == (401, "AUTH_INVALID_CREDENTIALS")
    assert passwords.asked == []


@given(login=st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"])), password=st.text())
def test_basic_credentials_come_back_as_they_were_meant(login: str, password: str) -> None:
    try:
        credentials = base64.b64encode(f"{login}:{password}".encode()).decode()
    except UnicodeEncodeError:
        return
    assert parse_basic(credentials) == (login, password)


@given(st.text())
def test_no_header_breaks_the_reading_of_basic_credentials(credentials: str) -> None:
    with contextlib.suppress(ApiError):
        login, _ = parse_basic(credentials)
        assert ":" not in login


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("a=1; marquee_access=x; b=2", ["x"]),
        ("marquee_access=bare; marquee_access_0a=first;marquee_access_0b=second", ["first", "second", "bare"]),
        ("marquee_access=x; marquee_access=x; marquee_access=y; marquee_access=", ["x", "y"]),
        ("marquee_access_=x; marquee_accessory=y; xmarquee_access=z; marquee_access", []),
        ("", []),
    ],
)
def test_values_of_a_cookie_are_those_of_every_installation(field: str, values: list[str]) -> None:
    assert callers.cookie_values(field, ACCESS_COOKIE) == values


async def test_first_valid_of_several_cookies_counts(client: httpx.AsyncClient) -> None:
    cookies = "marquee_access_0a=junk; marquee_access_0b=u2/active/member; marquee_access=u1/active/member"
    assert (await client.get("/me", headers={"Cookie": cookies})).json() == "u2"
    assert code(await client.get("/me", headers={"Cookie": "marquee_access_0a=junk; marquee_access=old"})) == (
        401,
        "AUTH_INVALID_TOKEN",
    )


async def test_wrong_credentials_are_verified_once_a_request(client: httpx.AsyncClient, passwords: Passwords) -> None:
    app = client._transport.app  # type: ignore[attr-defined]
    app.state.limits = RequestLimits(100, 1200)
    headers = {**basic("홍길동", "x"), "X-Marquee-Limit": "address"}
    assert code(await client.get("/me", headers=headers)) == (401, "AUTH_INVALID_CREDENTIALS")
    assert len(passwords.asked) == 1


def a_request(fields: dict[bytes, bytes]) -> Request:
    return Request(
        {"type": "http", "method": "GET", "path": "/", "headers": list(fields.items()), "client": ("1.1.1.1", 1)}
    )


GOOD = b"u1/active/member"


@pytest.mark.parametrize(
    "fields",
    [
        {b"authorization": b"Bearer " + GOOD},
        {b"authorization": b"bearer  " + GOOD + b" "},
        {b"authorization": basic("홍길동", "비밀:번호 1")["Authorization"].encode()},
        {b"cookie": b"a=b; marquee_access=" + GOOD + b"; c"},
        {b"cookie": b"marquee_access_1f2e3d4c=" + GOOD},
        {b"cookie": b"marquee_access_1f2e3d4c=junk; marquee_access=" + GOOD + b"; marquee_access=junk"},
        {b"cookie": b"marquee_access=" + GOOD + b"; marquee_access_1f2e3d4c=" + GOOD},
    ],
)
async def test_get_cached_returns_a_verified_caller(passwords: Passwords, fields: dict[bytes, bytes]) -> None:
    authenticator = Authenticator(Verifier(), passwords.verify)
    assert authenticator.get_cached(fields) is None
    caller = await authenticator(a_request(fields))
    assert authenticator.get_cached(fields) == caller


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"authorization": b"Bearer"},
        {b"authorization": b"Basic !"},
        {b"authorization": b"Digest " + GOOD},
        {b"authorization": b"", b"cookie": b"marquee_access=" + GOOD},
        {b"cookie": b"marquee_access=" + GOOD + b"; marquee_access=u2/active/admin"},
        {b"cookie": b"marquee_access_=" + GOOD},
        {b"authorization": b"Bearer u1/pending/member"},
        {b"authorization": b"Bearer u1/suspended/member"},
        {b"authorization": b"Bearer \xff\xfe", b"cookie": b"marquee_access=" + GOOD},
    ],
)
async def test_get_cached_is_none_for_ambiguous_credentials(passwords: Passwords, fields: dict[bytes, bytes]) -> None:
    verifier = Verifier()
    for token in ("u1/active/member", "u2/active/admin", "u1/pending/member", "u1/suspended/member"):
        await verifier.verify(token)
    assert Authenticator(verifier, passwords.verify).get_cached(fields) is None
