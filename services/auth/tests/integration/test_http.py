"""Auth over HTTP, as browsers and scripts use it, on both databases."""

from __future__ import annotations

import asyncio
import unicodedata
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from kit.auth.authentication import ACCESS_COOKIE
from kit.auth.tokens import TokenVerifier
from kit.ids import new_id
from services.auth.domain import REUSE_GRACE
from services.auth.http import DEVICE_COOKIE, REFRESH_COOKIE
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


class RegisteringContract:
    async def test_open_registration_creates_active_account(self, auth: Auth) -> None:
        answer = await auth.register("Alice", name="앨리스 🎬")
        assert answer.status_code == 201
        body = answer.json()
        assert {name: body[name] for name in ("login_id", "display_name", "role", "status", "corporation_id")} == {
            "login_id": "Alice",
            "display_name": "앨리스 🎬",
            "role": "member",
            "status": "active",
            "corporation_id": None,
        }
        assert body["created_at"].endswith("Z")
        assert "password" not in answer.text
        assert (await auth.log_in("alice")).status_code == 200
        assert (await auth.events("user.registered"))[-1] == {
            "user_id": body["id"],
            "login_id": "Alice",
            "status": "active",
            "subject": body["id"],
            "version": 1,
        }

    async def test_registration_with_approval_creates_pending_account(self, start_auth: StartAuth) -> None:
        async with start_auth(registration="approval") as auth:
            assert (await auth.register("alice")).json()["status"] == "pending"
            assert problem(await auth.log_in("alice")) == (403, "AUTH_USER_PENDING")
            assert problem(await auth.log_in("alice", "wrong")) == (401, "AUTH_INVALID_CREDENTIALS")
            assert (await auth.events("user.registered"))[-1]["status"] == "pending"

    async def test_closed_registration_is_refused(self, start_auth: StartAuth) -> None:
        async with start_auth(registration="closed") as auth:
            assert problem(await auth.register("alice")) == (403, "AUTH_REGISTRATION_CLOSED")
            assert problem(await auth.log_in("alice")) == (401, "AUTH_INVALID_CREDENTIALS")

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("alice", "ALICE"),
            ("홍길동", unicodedata.normalize("NFD", "홍길동")),
            ("film", "ﬁlm"),
            ("alice", " alice "),
            ("other", "ADMIN"),
        ],
    )
    async def test_login_is_unique(self, auth: Auth, first: str, second: str) -> None:
        assert (await auth.register(first)).status_code == 201
        assert problem(await auth.register(second)) == (409, "AUTH_LOGIN_TAKEN")
        assert len(await auth.events("user.registered")) == 2

    async def test_one_of_concurrent_registrations_gets_the_login(self, auth: Auth) -> None:
        answers = await asyncio.gather(*(auth.register("alice") for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"login_id": "a:b"}, "login_id"),
            ({"login_id": "a\0b"}, "login_id"),
            ({"login_id": "  "}, "login_id"),
            ({"login_id": "x" * 65}, "login_id"),
            ({"password": "1234567"}, "password"),
            ({"password": "x" * 1025}, "password"),
            ({"password": "가" * 400}, "password"),
            ({"password": "Password1"}, "password"),
            ({"password": "alice123", "login_id": "Alice123"}, "password"),
            ({"display_name": ""}, "display_name"),
            ({"display_name": "a\0b"}, "display_name"),
            ({"display_name": "x" * 101}, "display_name"),
            ({"role": "admin"}, "role"),
        ],
    )
    async def test_invalid_fields_are_named(self, auth: Auth, changes: dict[str, str], field: str) -> None:
        body = {"login_id": "alice", "password": PASSWORD, "display_name": "Alice"} | changes
        answer = await auth.client.post("/api/auth/register", json=body)
        assert problem(answer) == (422, "VALIDATION_FAILED")
        assert [item["field"] for item in answer.json()["error"]["details"]["fields"]] == [field]


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


class UsersContract:
    async def test_users_see_their_own_account(self, auth: Auth) -> None:
        await auth.register("alice")
        await auth.log_in("alice", client=auth.client)
        by_cookie = (await auth.client.get("/api/users/me")).json()
        by_token = (await auth.browser().get("/api/users/me", headers=await auth.bearer("alice"))).json()
        by_password = (await auth.browser().get("/api/users/me", headers=basic("alice", PASSWORD))).json()
        assert by_cookie == by_token == by_password
        assert (by_cookie["login_id"], by_cookie["can_upload"]) == ("alice", False)

    async def test_members_may_upload_if_setting_allows(self, start_auth: StartAuth) -> None:
        async with start_auth(registration="open", uploads="members") as auth:
            await auth.register("alice")
            answer = await auth.client.get("/api/users/me", headers=basic("alice", PASSWORD))
            assert answer.json()["can_upload"] is True

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/users/me"),
            ("GET", "/api/users"),
            ("POST", f"/api/users/{new_id()}/approve"),
            ("POST", "/api/auth/logout"),
        ],
    )
    async def test_anonymous_client_sees_no_account(self, auth: Auth, method: str, path: str) -> None:
        answer = await auth.client.request(method, path)
        assert problem(answer) == (401, "AUTH_INVALID_TOKEN")
        assert "Basic" in answer.headers["WWW-Authenticate"]

    @pytest.mark.parametrize(("method", "path"), [("GET", "/api/users"), ("POST", f"/api/users/{new_id()}/approve")])
    async def test_members_may_not_administer(self, auth: Auth, method: str, path: str) -> None:
        await auth.register("alice")
        answer = await auth.client.request(method, path, headers=await auth.bearer("alice"))
        assert problem(answer) == (403, "AUTH_FORBIDDEN")

    async def test_list_is_paged_newest_first(self, auth: Auth) -> None:
        for number in range(5):
            await auth.register(f"user-{number}")
        headers = await auth.bearer()
        pages = [
            (await auth.client.get(f"/api/users?page={page}&page_size=4", headers=headers)).json() for page in (1, 2, 3)
        ]
        assert [[item["login_id"] for item in page["items"]] for page in pages] == [
            ["user-4", "user-3", "user-2", "user-1"],
            ["user-0", ADMIN],
            [],
        ]
        assert [(page["page"], page["page_size"], page["total"]) for page in pages] == [(1, 4, 6), (2, 4, 6), (3, 4, 6)]
        assert "password" not in repr(pages)

    async def test_list_filters_by_status(self, start_auth: StartAuth) -> None:
        async with start_auth() as auth:
            await auth.register("waiting")
            headers = await auth.bearer()

            async def logins(status: str) -> list[str]:
                body = (await auth.client.get(f"/api/users?status={status}", headers=headers)).json()
                assert body["total"] == len(body["items"])
                return [item["login_id"] for item in body["items"]]

            assert await logins("pending") == ["waiting"]
            assert await logins("active") == [ADMIN]
            assert await logins("suspended") == []
            answer = await auth.client.get("/api/users?status=bogus", headers=headers)
            assert problem(answer) == (422, "VALIDATION_FAILED")

    async def test_approved_user_can_log_in(self, start_auth: StartAuth) -> None:
        async with start_auth(registration="approval") as auth:
            user_id = (await auth.register("alice")).json()["id"]
            headers = await auth.bearer()
            for _ in range(2):
                answer = await auth.client.post(f"/api/users/{user_id}/approve", headers=headers)
                assert (answer.status_code, answer.json()["status"]) == (200, "active")
            assert (await auth.log_in("alice")).status_code == 200
            assert await auth.events("user.approved") == [{"user_id": user_id, "subject": user_id, "version": 2}]

    async def test_concurrent_approvals_emit_one_event(self, start_auth: StartAuth) -> None:
        async with start_auth(registration="approval") as auth:
            headers = await auth.bearer()
            ids = [(await auth.register(f"user-{number}")).json()["id"] for number in range(5)]
            await asyncio.gather(
                *(auth.client.post(f"/api/users/{id_}/approve", headers=headers) for id_ in ids for _ in range(4))
            )
            assert sorted(event["user_id"] for event in await auth.events("user.approved")) == sorted(ids)

    @pytest.mark.parametrize("user_id", [new_id(), "unknown", "a%00b", "%2e%2e", "x" * 200])
    async def test_approval_of_unknown_user_is_not_found(self, auth: Auth, user_id: str) -> None:
        answer = await auth.client.post(f"/api/users/{user_id}/approve", headers=await auth.bearer())
        assert problem(answer) == (404, "CONTENT_NOT_FOUND")


class HttpContract(RegisteringContract, LoginContract, RefreshContract, LogoutContract, UsersContract):
    """Holds for every database; subclasses say where theirs is."""


class TestSqlite(HttpContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(HttpContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url


class TestKeys:
    async def test_published_keys_verify_and_are_not_private(self, auth: Auth) -> None:
        token = (await auth.log_in()).json()["access_token"]
        answer = await auth.client.get("/.well-known/jwks.json")
        (key,) = answer.json()["keys"]
        assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}

        async def fetch() -> str:
            return answer.text

        caller = await TokenVerifier(fetch).verify(token)
        assert (caller.role, caller.status) == ("admin", "active")

    async def test_replicas_with_one_key_file_verify_each_others_tokens(self, start_auth: StartAuth) -> None:
        async with start_auth() as one, start_auth() as other:
            answer = await other.client.get("/api/users/me", headers=await one.bearer())
            assert answer.json()["login_id"] == ADMIN
            token = (await one.log_in()).json()["refresh_token"]
            assert (await one.refresh(token)).json()["refresh_token"] == (await other.refresh(token)).json()[
                "refresh_token"
            ]


async def test_health_names_the_dependencies(auth: Auth) -> None:
    answer = await auth.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": True, "broker": True}
