"""Login, refresh and logout over HTTP, as browsers and scripts use them, on both databases."""

from __future__ import annotations

import asyncio
import unicodedata
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from kit.auth.authentication import ACCESS_COOKIE
from kit.auth.tokens import TokenVerifier
from kit.db.database import Database
from services.auth.domain import REUSE_GRACE
from services.auth.http import DEVICE_COOKIE, REFRESH_COOKIE
from services.auth.models import User
from services.auth.tests.support import ADMIN, BROWSER, PASSWORD, Auth, Clock, StartAuth, basic, named, problem

GRACE_SEC = REUSE_GRACE.total_seconds()


def cookies_of(answer: httpx.Response) -> SimpleCookie:
    cookies = SimpleCookie()
    for header in answer.headers.get_list("Set-Cookie"):
        cookies.load(header)
    return cookies


async def fails_everywhere(auth: Auth, *tokens: str) -> None:
    for token in tokens:
        assert problem(await auth.refresh(token)) == (401, "AUTH_INVALID_TOKEN")


class LoginContract:
    async def test_gives_tokens_and_the_account(self, auth: Auth) -> None:
        answer = await auth.log_in()
        body = answer.json()
        assert answer.status_code == 200
        assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
        assert (body["token_type"], body["expires_in"]) == ("Bearer", auth.settings.access_ttl_sec)
        assert body["user"]["login_id"] == ADMIN
        assert body["user"]["can_upload"] is True
        assert answer.headers["Cache-Control"] == "no-store"
        (event,) = await auth.events("auth.login_succeeded")
        assert (event["user_id"], event["client_address"]) == (body["user"]["id"], "10.0.0.1")

    @pytest.mark.parametrize(("scheme", "secure"), [("http", ""), ("https", True)])
    async def test_cookies_are_httponly_and_same_site(self, auth: Auth, scheme: str, secure: object) -> None:
        answer = await auth.log_in(client=auth.browser(scheme=scheme))
        cookies, body = cookies_of(answer), answer.json()
        for name, value, path, life in (
            (ACCESS_COOKIE, body["access_token"], "/", auth.settings.access_ttl_sec),
            (REFRESH_COOKIE, body["refresh_token"], "/api/auth", auth.settings.refresh_ttl_sec),
            (DEVICE_COOKIE, cookies[named(DEVICE_COOKIE, cookies)].value, "/api/auth", 400 * 86_400),
        ):
            cookie = cookies[named(name, cookies)]
            assert cookie.value == value
            assert cookie["httponly"] is True
            assert cookie["samesite"].lower() == "strict"
            assert cookie["secure"] == secure
            assert (cookie["path"], cookie["max-age"]) == (path, str(life))
            assert not cookie["domain"]

    async def test_login_ignores_case_and_composition(self, auth: Auth) -> None:
        await auth.register("홍길동")
        for login in ("홍길동", unicodedata.normalize("NFD", "홍길동"), " 홍길동 "):
            assert (await auth.log_in(login)).status_code == 200

    async def test_spaces_around_a_password_are_part_of_it(self, auth: Auth) -> None:
        await auth.register("alice", " spaced out ")
        assert (await auth.log_in("alice", " spaced out ")).status_code == 200
        assert problem(await auth.log_in("alice", "spaced out")) == (401, "AUTH_INVALID_CREDENTIALS")
        assert (await auth.client.get("/api/users/me", headers=basic("alice", " spaced out "))).status_code == 200

    @pytest.mark.parametrize("login", [ADMIN, "unknown", "no\0body", "", "\u202e", "x" * 256, "no:body"])
    async def test_wrong_login_and_wrong_password_get_same_response(self, auth: Auth, login: str) -> None:
        answer = await auth.log_in(login, "wrong")
        assert problem(answer) == (401, "AUTH_INVALID_CREDENTIALS")
        assert answer.json() == (await auth.log_in(ADMIN, "wrong")).json()
        assert not cookies_of(answer)
        assert len(await auth.events("auth.login_failed")) == 2
        assert await auth.events("auth.login_succeeded") == []

    async def test_wrong_login_and_wrong_password_cost_the_same(self, auth: Auth, checked: list[bytes]) -> None:
        for login in (ADMIN, "unknown", "no\0body"):
            await auth.log_in(login, "wrong")
        assert len(checked) == 3

    async def test_failure_emits_event_with_normalised_login(self, auth: Auth) -> None:
        await auth.log_in("Unknown", "wrong")
        (event,) = await auth.events("auth.login_failed")
        assert event == {
            "login_id": "unknown",
            "client_address": "10.0.0.1",
            "code": "AUTH_INVALID_CREDENTIALS",
            "subject": "unknown",
            "version": 0,
        }

    @pytest.mark.parametrize(
        "body", [{}, {"login_id": "a"}, {"login_id": "a", "password": ["x"]}, {"login_id": "x" * 257, "password": "x"}]
    )
    async def test_malformed_credentials_are_refused(self, auth: Auth, body: dict[str, Any]) -> None:
        assert problem(await auth.client.post("/api/auth/login", json=body)) == (422, "VALIDATION_FAILED")

    async def test_check_issues_no_token(self, auth: Auth) -> None:
        answer = await auth.client.post("/api/auth/check", json={"login_id": ADMIN, "password": PASSWORD})
        assert set(answer.json()) == {"ok", "user"}
        assert answer.json()["ok"] is True
        assert answer.json()["user"]["login_id"] == ADMIN
        assert not cookies_of(answer)
        wrong = await auth.client.post("/api/auth/check", json={"login_id": ADMIN, "password": "wrong"})
        assert problem(wrong) == (401, "AUTH_INVALID_CREDENTIALS")
        assert await auth.events("auth.login_succeeded") == []

    async def test_passwords_and_tokens_stay_out_of_the_log(self, auth: Auth) -> None:
        with capture_logs() as logs:
            tokens = (await auth.log_in()).json()
            await auth.refresh(tokens["refresh_token"])
            await auth.log_in(ADMIN, "wr0ng-passw0rd")
            await auth.register("a:b", "s3cret-s3cret")
        assert len(logs) == 4
        for secret in (PASSWORD, "wr0ng", "s3cret", tokens["access_token"], tokens["refresh_token"]):
            assert secret not in repr(logs)


class RefreshContract:
    async def test_refresh_returns_new_pair(self, auth: Auth, clock: Clock) -> None:
        first = (await auth.log_in()).json()
        clock.advance(seconds=5)
        answer = await auth.refresh(first["refresh_token"])
        second = answer.json()
        assert set(second) == set(first)
        assert second["refresh_token"] != first["refresh_token"]
        assert second["access_token"] != first["access_token"]
        cookies = cookies_of(answer)
        assert cookies[named(REFRESH_COOKIE, cookies)].value == second["refresh_token"]
        assert (await auth.refresh(second["refresh_token"])).status_code == 200

    async def test_tokens_of_one_login_share_login_session_id(self, auth: Auth) -> None:
        first = (await auth.log_in()).json()
        second = (await auth.refresh(first["refresh_token"])).json()
        other = (await auth.log_in()).json()
        document = (await auth.client.get("/.well-known/jwks.json")).text

        async def fetch() -> str:
            return document

        sessions = [
            (await TokenVerifier(fetch).verify(pair["access_token"])).login_session_id
            for pair in (first, second, other)
        ]
        assert sessions[0] == sessions[1] != sessions[2]

    async def test_reused_token_ends_login_session(self, auth: Auth, clock: Clock) -> None:
        first = (await auth.log_in()).json()["refresh_token"]
        second = (await auth.refresh(first)).json()["refresh_token"]
        other = (await auth.log_in()).json()["refresh_token"]
        clock.advance(seconds=GRACE_SEC + 1)
        await fails_everywhere(auth, first, second, first)
        assert len(await auth.events("auth.token_revoked")) == 1
        assert (await auth.refresh(other)).status_code == 200

    async def test_repeated_refresh_gets_same_pair_within_grace(self, auth: Auth, clock: Clock) -> None:
        first = (await auth.log_in()).json()["refresh_token"]
        answer = (await auth.refresh(first)).json()
        clock.advance(seconds=GRACE_SEC)
        again = await auth.refresh(first)
        assert again.json()["refresh_token"] == answer["refresh_token"]
        cookies = cookies_of(again)
        assert cookies[named(REFRESH_COOKIE, cookies)]["max-age"] == str(int(auth.settings.refresh_ttl_sec - GRACE_SEC))
        assert (await auth.refresh(answer["refresh_token"])).status_code == 200

    async def test_repeated_refresh_does_not_extend_grace(self, auth: Auth, clock: Clock) -> None:
        first = (await auth.log_in()).json()["refresh_token"]
        await auth.refresh(first)
        clock.advance(seconds=GRACE_SEC - 1)
        assert (await auth.refresh(first)).status_code == 200
        clock.advance(seconds=GRACE_SEC - 1)
        await fails_everywhere(auth, first)

    async def test_grace_covers_only_immediate_predecessor(self, auth: Auth) -> None:
        first = (await auth.log_in()).json()["refresh_token"]
        second = (await auth.refresh(first)).json()["refresh_token"]
        third = (await auth.refresh(second)).json()["refresh_token"]
        await fails_everywhere(auth, first, second, third)

    async def test_concurrent_refreshes_get_one_successor(self, auth: Auth) -> None:
        first = (await auth.log_in()).json()["refresh_token"]
        answers = await asyncio.gather(*(auth.refresh(first) for _ in range(6)))
        assert {answer.status_code for answer in answers} == {200}
        (second,) = {answer.json()["refresh_token"] for answer in answers}
        assert (await auth.refresh(second)).status_code == 200

    async def test_refresh_token_expires(self, auth: Auth, clock: Clock) -> None:
        token = (await auth.log_in()).json()["refresh_token"]
        clock.advance(seconds=auth.settings.refresh_ttl_sec)
        assert problem(await auth.refresh(token)) == (401, "AUTH_TOKEN_EXPIRED")
        clock.advance(seconds=1)
        await auth.log_in()
        await fails_everywhere(auth, token)

    @pytest.mark.parametrize("token", ["x", "x" * 256, "\0"])
    async def test_invented_token_is_refused(self, auth: Auth, token: str) -> None:
        assert problem(await auth.refresh(token)) == (401, "AUTH_INVALID_TOKEN")

    @pytest.mark.parametrize("body", [{"refresh_token": "x" * 257}, {"token": "x"}, {"refresh_token": 7}])
    async def test_a_malformed_request_is_refused(self, auth: Auth, body: dict[str, Any]) -> None:
        assert problem(await auth.client.post("/api/auth/refresh", json=body)) == (422, "VALIDATION_FAILED")

    @pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}])
    async def test_refresh_by_cookie(self, auth: Auth, body: dict[str, Any] | None) -> None:
        await auth.log_in(client=auth.client)
        name = named(REFRESH_COOKIE, auth.client.cookies)
        before = auth.client.cookies[name]
        answer = await auth.client.post("/api/auth/refresh", json=body, headers=BROWSER)
        assert answer.status_code == 200
        assert auth.client.cookies[name] == answer.json()["refresh_token"] != before

    async def test_refresh_from_another_site_is_refused(self, auth: Auth) -> None:
        await auth.log_in(client=auth.client)
        assert problem(await auth.client.post("/api/auth/refresh")) == (403, "AUTH_FORBIDDEN")

    async def test_refresh_without_token_is_refused(self, auth: Auth) -> None:
        assert problem(await auth.client.post("/api/auth/refresh")) == (401, "AUTH_INVALID_TOKEN")


class LogoutContract:
    async def test_logout_ends_only_this_login_session(self, auth: Auth) -> None:
        here, there = (await auth.log_in()).json(), (await auth.log_in()).json()
        moved_on = (await auth.refresh(here["refresh_token"])).json()
        headers = {"Authorization": f"Bearer {here['access_token']}"}
        assert (await auth.client.post("/api/auth/logout", headers=headers)).status_code == 204
        await fails_everywhere(auth, moved_on["refresh_token"], here["refresh_token"])
        assert (await auth.refresh(there["refresh_token"])).status_code == 200
        (event,) = await auth.events("auth.token_revoked")
        assert event["user_id"] == here["user"]["id"]

    async def test_second_logout_changes_nothing(self, auth: Auth) -> None:
        headers = await auth.bearer()
        for _ in range(2):
            assert (await auth.client.post("/api/auth/logout", headers=headers)).status_code == 204
        assert len(await auth.events("auth.token_revoked")) == 1

    async def test_logout_deletes_cookies(self, auth: Auth) -> None:
        await auth.log_in(client=auth.client)
        assert problem(await auth.client.post("/api/auth/logout")) == (403, "AUTH_FORBIDDEN")
        assert (await auth.client.post("/api/auth/logout", headers=BROWSER)).status_code == 204
        assert [name.startswith(DEVICE_COOKIE) for name in auth.client.cookies] == [True]
        assert (await auth.client.get("/api/users/me")).status_code == 401

    async def test_logout_needs_authentication(self, auth: Auth) -> None:
        assert problem(await auth.client.post("/api/auth/logout")) == (401, "AUTH_INVALID_TOKEN")
        assert (await auth.client.post("/api/auth/logout", headers=basic(ADMIN, PASSWORD))).status_code == 204


class LoginSessionContract(LoginContract, RefreshContract, LogoutContract):
    """Holds for every database; subclasses say where theirs is."""


class TestSqlite(LoginSessionContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(LoginSessionContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url


async def test_login_replaces_hash_of_lower_cost(start_auth: StartAuth, database: Database) -> None:
    async with start_auth(registration="open", bcrypt_cost=4) as auth:
        await auth.register("alice")
    async with start_auth(registration="open", bcrypt_cost=5) as auth:
        assert (await auth.log_in("alice", "wrong")).status_code == 401
        async with database.read() as session:
            user = await session.scalar(select(User).where(User.login_id == "alice"))
        assert user
        assert user.password_hash.startswith("$2b$04$")
        answers = await asyncio.gather(*(auth.log_in("alice") for _ in range(4)))
        assert {answer.status_code for answer in answers} == {200}
        async with database.read() as session:
            user = await session.scalar(select(User).where(User.login_id == "alice"))
        assert user
        assert user.password_hash.startswith("$2b$05$")
        assert (await auth.log_in("alice")).status_code == 200
    async with start_auth(registration="open", bcrypt_cost=4) as auth:
        assert (await auth.log_in("alice")).status_code == 200
