"""Accounts as members and administrators see them, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from kit.ids import new_id
from services.auth.tests.support import ADMIN, PASSWORD, Auth, StartAuth, basic, problem


class UsersContract:
    """Holds for every database; subclasses say where theirs is."""

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


class TestSqlite(UsersContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(UsersContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url
