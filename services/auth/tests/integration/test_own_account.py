"""What users do with their own accounts, on both databases."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from sqlalchemy import select

from kit.auth.authentication import ACCESS_COOKIE
from kit.db.database import Database
from services.auth.models import AuditEntry, RefreshToken, User
from services.auth.service.accounts import DELETED_VERSION
from services.auth.tests.integration.accounts import NEW, member
from services.auth.tests.support import BROWSER, PASSWORD, Auth, basic, named, problem


class OwnAccountContract:
    """Holds for every database; subclasses say where theirs is."""

    async def test_user_changes_display_name(self, auth: Auth) -> None:
        await member(auth)
        headers = await auth.bearer("alice")
        answer = await auth.client.patch("/api/users/me", json={"display_name": " 앨리스 "}, headers=headers)
        assert (answer.status_code, answer.json()["display_name"]) == (200, "앨리스")
        assert (await auth.client.get("/api/users/me", headers=headers)).json()["display_name"] == "앨리스"
        found = (await auth.client.get("/api/users?query=앨리", headers=await auth.bearer())).json()
        assert [item["login_id"] for item in found["items"]] == ["alice"]

    async def test_empty_change_changes_nothing(self, auth: Auth) -> None:
        await member(auth)
        answer = await auth.client.patch("/api/users/me", json={}, headers=await auth.bearer("alice"))
        assert (answer.status_code, answer.json()["login_id"]) == (200, "alice")

    async def test_new_password_ends_other_login_sessions(self, auth: Auth) -> None:
        await member(auth)
        here, there = (await auth.log_in("alice")).json(), (await auth.log_in("alice")).json()
        answer = await self.change(auth, here["access_token"])
        assert answer.status_code == 200
        assert problem(await auth.refresh(there["refresh_token"])) == (401, "AUTH_INVALID_TOKEN")
        assert (await auth.refresh(here["refresh_token"])).status_code == 200
        assert problem(await auth.log_in("alice")) == (401, "AUTH_INVALID_CREDENTIALS")
        assert (await auth.log_in("alice", NEW)).status_code == 200
        assert len(await auth.events("auth.token_revoked")) == 1

    async def test_new_password_by_basic_credentials_ends_all_login_sessions(self, auth: Auth) -> None:
        await member(auth)
        token = (await auth.log_in("alice")).json()["refresh_token"]
        body = {"current_password": PASSWORD, "new_password": NEW}
        answer = await auth.client.patch("/api/users/me", json=body, headers=basic("alice", PASSWORD))
        assert answer.status_code == 200
        assert problem(await auth.refresh(token)) == (401, "AUTH_INVALID_TOKEN")

    async def test_wrong_current_password_is_refused_and_counted(self, auth: Auth) -> None:
        await member(auth)
        token = (await auth.log_in("alice")).json()["access_token"]
        for _ in range(auth.settings.login_attempts):
            assert problem(await self.change(auth, token, current="wrong")) == (403, "AUTH_WRONG_PASSWORD")
        assert problem(await self.change(auth, token)) == (429, "AUTH_RATE_LIMITED")
        assert problem(await auth.log_in("alice")) == (429, "AUTH_RATE_LIMITED")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"new_password": NEW}, "body"),
            ({"current_password": PASSWORD}, "body"),
            ({"current_password": PASSWORD, "new_password": "short"}, "new_password"),
            ({"current_password": PASSWORD, "new_password": "password123"}, "new_password"),
            ({"current_password": PASSWORD, "new_password": "Alice-in-wonder"}, "new_password"),
            ({"display_name": ""}, "display_name"),
            ({"role": "admin"}, "role"),
        ],
    )
    async def test_invalid_fields_are_named(self, auth: Auth, body: dict[str, str], field: str) -> None:
        await member(auth, "alice-in-wonder")
        headers = await auth.bearer("alice-in-wonder")
        answer = await auth.client.patch("/api/users/me", json=body, headers=headers)
        assert problem(answer) == (422, "VALIDATION_FAILED")
        assert [item["field"] for item in answer.json()["error"]["details"]["fields"]] == [field]

    async def test_one_of_two_concurrent_password_changes_succeeds(self, auth: Auth) -> None:
        await member(auth)
        token = (await auth.log_in("alice")).json()["access_token"]
        passwords = [f"{NEW} {number}" for number in range(4)]
        answers = await asyncio.gather(*(self.change(auth, token, new=password) for password in passwords))
        assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]
        (chosen,) = [password for password, answer in zip(passwords, answers, strict=True) if answer.is_success]
        assert (await auth.log_in("alice", chosen)).status_code == 200

    async def test_concurrent_login_with_old_password_does_not_survive(self, auth: Auth) -> None:
        await member(auth)
        token = (await auth.log_in("alice")).json()["access_token"]
        _, *logins = await asyncio.gather(self.change(auth, token), *(auth.log_in("alice") for _ in range(6)))
        for login in logins:
            if login.is_success:
                refreshed = await auth.refresh(login.json()["refresh_token"])
                assert problem(refreshed) == (401, "AUTH_INVALID_TOKEN")

    async def test_deleted_own_account_is_gone(self, auth: Auth, database: Database) -> None:
        user_id = await member(auth)
        await auth.log_in("alice", "wrong")
        tokens = (await auth.log_in("alice", client=auth.client)).json()
        assert (await auth.client.delete("/api/users/me", headers=BROWSER)).status_code == 204
        assert problem(await auth.log_in("alice")) == (401, "AUTH_INVALID_CREDENTIALS")
        assert problem(await auth.refresh(tokens["refresh_token"])) == (401, "AUTH_INVALID_TOKEN")
        (event,) = await auth.events("user.deleted")
        assert (event["user_id"], event["subject"]) == (user_id, user_id)
        assert any(
            event.get("claims_version") == str(DELETED_VERSION) for event in await auth.events("auth.token_revoked")
        )
        async with database.read() as session:
            assert await session.get(User, user_id) is None
            assert not (await session.scalars(select(RefreshToken).where(RefreshToken.user_id == user_id))).all()
            entries = (await session.scalars(select(AuditEntry).where(AuditEntry.target_id == user_id))).all()
        assert {entry.client_address for entry in entries} == {""}
        assert {"user.deleted", "login.succeeded", "login.failed"} <= {entry.action for entry in entries}
        assert "alice" not in "".join(entry.details for entry in entries)
        assert (await auth.register("alice")).status_code == 201

    async def test_deletion_from_another_site_is_refused(self, auth: Auth) -> None:
        await member(auth)
        await auth.log_in("alice", client=auth.client)
        assert auth.client.cookies[named(ACCESS_COOKIE, auth.client.cookies)]
        assert problem(await auth.client.delete("/api/users/me")) == (403, "AUTH_FORBIDDEN")

    @staticmethod
    async def change(auth: Auth, token: str, current: str = PASSWORD, new: str = NEW) -> httpx.Response:
        body = {"current_password": current, "new_password": new}
        headers = {"Authorization": f"Bearer {token}"}
        return await auth.browser().patch("/api/users/me", json=body, headers=headers)


class TestSqlite(OwnAccountContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(OwnAccountContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url
