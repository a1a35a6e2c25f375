"""Accounts: what their owners and what administrators do with them, over HTTP, on both databases."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from kit.auth.authentication import ACCESS_COOKIE
from kit.db.database import Database
from kit.ids import new_id
from kit.testing.queries import count_queries
from services.auth.models import AuditEntry, PasswordReset, RefreshToken, User
from services.auth.service.accounts import DELETED_VERSION
from services.auth.tests.support import ADMIN, BROWSER, PASSWORD, Auth, Clock, StartAuth, basic, named, problem

NEW = "staple the battery"


async def member(auth: Auth, login: str = "alice", **more: Any) -> str:
    """The id of a new member."""
    return str((await auth.register(login, **more)).json()["id"])


class OwnAccountContract:
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


class AdministrationContract:
    @pytest.fixture
    async def headers(self, auth: Auth) -> dict[str, str]:
        """The administrator's."""
        return await auth.bearer()

    async def make(self, auth: Auth, headers: dict[str, str], **changes: Any) -> httpx.Response:
        body = {"login_id": "bob", "password": PASSWORD, "display_name": "Bob"} | changes
        return await auth.client.post("/api/users", json=body, headers=headers)

    async def test_account_is_created_found_changed_and_deleted(self, auth: Auth, headers: dict[str, str]) -> None:
        made = await self.make(auth, headers, role="admin")
        assert (made.status_code, made.json()["role"], made.json()["status"]) == (201, "admin", "active")
        path = f"/api/users/{made.json()['id']}"
        assert (await auth.client.get(path, headers=headers)).json() == made.json()
        changed = await auth.client.patch(path, json={"role": "member", "display_name": "밥"}, headers=headers)
        assert (changed.status_code, changed.json()["role"], changed.json()["display_name"]) == (200, "member", "밥")
        assert (await auth.client.delete(path, headers=headers)).status_code == 204
        for answer in (
            await auth.client.get(path, headers=headers),
            await auth.client.delete(path, headers=headers),
            await auth.client.patch(path, json={}, headers=headers),
            await auth.client.post(f"{path}/suspend", headers=headers),
            await auth.client.post(f"{path}/password-reset", headers=headers),
        ):
            assert problem(answer) == (404, "CONTENT_NOT_FOUND")

    async def test_invalid_accounts_are_refused(self, auth: Auth, headers: dict[str, str]) -> None:
        assert problem(await self.make(auth, headers, login_id="ADMIN")) == (409, "AUTH_LOGIN_TAKEN")
        for changes in ({"corporation_id": new_id()}, {"corporation_id": "x"}, {"password": "12345678"}, {"role": "x"}):
            assert problem(await self.make(auth, headers, **changes)) == (422, "VALIDATION_FAILED")

    @pytest.mark.parametrize(
        ("query", "logins"),
        [
            ("query=ALI", ["alice"]),
            ("query=홍길", ["hong"]),
            ("query=%E1%84%92%E1%85%A9%E1%86%BC", ["hong"]),  # decomposed
            ("query=me%20%20100%25", ["percent"]),
            ("query=ali%E3%80%80ice", ["alice"]),
            ("query=ice%20hong", []),
            ("query=100%25", ["percent"]),
            ("query=%25", ["percent"]),
            ("query=_", []),
            ("query=%5C", []),
            ("query=unknown", []),
            ("role=admin", [ADMIN]),
            ("status=suspended", ["hong"]),
            ("status=active&query=e", ["percent", "alice"]),
        ],
    )
    async def test_search_matches_words_of_login_and_name(
        self, auth: Auth, headers: dict[str, str], query: str, logins: list[str]
    ) -> None:
        await member(auth, "alice", name="Alice")
        await member(auth, "percent", name="100% me")
        hong = await member(auth, "hong", name="홍길동")
        await auth.client.post(f"/api/users/{hong}/suspend", headers=headers)
        body = (await auth.client.get(f"/api/users?{query}", headers=headers)).json()
        assert [item["login_id"] for item in body["items"]] == logins
        assert body["total"] == len(logins)

    @pytest.mark.parametrize(
        "path",
        ["/api/users?query=%00", "/api/users?corporation_id=%00", "/api/users?role=x", "/api/corporations?query=a%00"],
    )
    async def test_invalid_search_is_refused(self, auth: Auth, headers: dict[str, str], path: str) -> None:
        assert problem(await auth.client.get(path, headers=headers)) == (422, "VALIDATION_FAILED")

    async def test_page_takes_two_queries_of_any_length(self, auth: Auth, headers: dict[str, str]) -> None:
        counts = []
        for number in range(2):
            for more in range(8):
                await member(auth, f"user-{number}-{more}")
            with count_queries() as counted:
                answer = await auth.client.get("/api/users?query=user&page_size=100", headers=headers)
            assert len(answer.json()["items"]) == 8 * (number + 1)
            counts.append(counted.count)
        assert counts == [2, 2]

    async def test_suspended_user_is_refused_until_approved(self, auth: Auth, headers: dict[str, str]) -> None:
        user_id = await member(auth)
        token = (await auth.log_in("alice")).json()["refresh_token"]
        for _ in range(2):
            answer = await auth.client.post(f"/api/users/{user_id}/suspend", headers=headers)
            assert (answer.status_code, answer.json()["status"]) == (200, "suspended")
        assert problem(await auth.log_in("alice")) == (403, "AUTH_USER_SUSPENDED")
        assert problem(await auth.log_in("alice", "wrong")) == (401, "AUTH_INVALID_CREDENTIALS")
        assert problem(await auth.refresh(token)) == (401, "AUTH_INVALID_TOKEN")
        assert [event["user_id"] for event in await auth.events("user.suspended")] == [user_id]
        await auth.client.post(f"/api/users/{user_id}/approve", headers=headers)
        assert (await auth.log_in("alice")).status_code == 200
        assert problem(await auth.refresh(token)) == (401, "AUTH_INVALID_TOKEN")

    async def test_login_concurrent_with_suspension_does_not_survive(self, auth: Auth, headers: dict[str, str]) -> None:
        user_id = await member(auth)
        _, *logins = await asyncio.gather(
            auth.browser().post(f"/api/users/{user_id}/suspend", headers=headers),
            *(auth.log_in("alice") for _ in range(6)),
        )
        for login in logins:
            if login.is_success:
                assert (await auth.refresh(login.json()["refresh_token"])).status_code == 401

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PATCH", "/api/users/{id}", {"role": "member"}),
            ("POST", "/api/users/{id}/suspend", None),
            ("DELETE", "/api/users/{id}", None),
            ("DELETE", "/api/users/me", None),
        ],
    )
    async def test_last_administrator_can_not_be_removed(
        self, auth: Auth, headers: dict[str, str], method: str, path: str, body: dict[str, str] | None
    ) -> None:
        me = (await auth.client.get("/api/users/me", headers=headers)).json()["id"]
        sleeper = (await self.make(auth, headers, role="admin")).json()["id"]
        await auth.client.post(f"/api/users/{sleeper}/suspend", headers=headers)
        answer = await auth.client.request(method, path.format(id=me), json=body, headers=headers)
        assert problem(answer) == (409, "AUTH_LAST_ADMIN")
        await auth.client.post(f"/api/users/{sleeper}/approve", headers=headers)
        assert (await auth.client.request(method, path.format(id=me), json=body, headers=headers)).is_success

    async def test_concurrent_removals_leave_one_administrator(
        self, auth: Auth, headers: dict[str, str], database: Database
    ) -> None:
        me = (await auth.client.get("/api/users/me", headers=headers)).json()
        made = [(await self.make(auth, headers, login_id=f"admin-{n}", role="admin")).json() for n in range(3)]
        ids = [each["id"] for each in (me, *made)]
        answers = await asyncio.gather(
            auth.browser().delete(f"/api/users/{ids[0]}", headers=headers),
            auth.browser().post(f"/api/users/{ids[1]}/suspend", headers=headers),
            auth.browser().patch(f"/api/users/{ids[2]}", json={"role": "member"}, headers=headers),
            auth.browser().delete(f"/api/users/{ids[3]}", headers=headers),
        )
        assert sorted(answer.is_success for answer in answers) == [False, True, True, True]
        async with database.read() as session:
            left = await session.scalars(select(User).where(User.role == "admin", User.status == "active"))
            assert len(left.all()) == 1

    async def test_concurrent_changes_cause_no_deadlock(
        self, auth: Auth, headers: dict[str, str], clock: Clock
    ) -> None:
        """Locks are always taken in one order: no deadlock arises, and no transaction is aborted."""
        made = await auth.client.post("/api/corporations", json={"name": "Acme"}, headers=headers)
        corporation_id = made.json()["id"]
        random = Random(7)
        for number in range(3):
            logins = [f"user-{number}-{n}" for n in range(4)]
            ids = [(await self.make(auth, headers, login_id=login, role="admin")).json()["id"] for login in logins]
            tokens = [(await auth.log_in(login)).json()["refresh_token"] for login in logins for _ in range(2)]
            # Old tokens are swept away by logins while they are being used, revoked and removed.
            clock.advance(seconds=auth.settings.refresh_ttl_sec - 1)
            tokens += [(await auth.log_in(login)).json()["refresh_token"] for login in logins]
            clock.advance(seconds=2)
            acts = [
                *(auth.refresh(token) for token in tokens),
                *(auth.log_in(login) for login in logins),
                *(
                    auth.browser().request(method, f"/api/users/{id_}{path}", json=body, headers=headers)
                    for id_ in ids
                    for method, path, body in (
                        ("PATCH", "", {"corporation_id": corporation_id, "role": "member"}),
                        ("POST", "/suspend", None),
                        ("POST", "/approve", None),
                        ("POST", "/password-reset", None),
                        ("DELETE", "", None),
                    )
                ),
                auth.browser().delete(f"/api/corporations/{corporation_id}", headers=headers),
            ]
            random.shuffle(acts)
            answers = await asyncio.gather(*acts)
            assert not [answer.text for answer in answers if answer.status_code >= 500]

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/users"),
            ("POST", "/api/users"),
            ("GET", f"/api/users/{new_id()}"),
            ("PATCH", f"/api/users/{new_id()}"),
            ("DELETE", f"/api/users/{new_id()}"),
            ("POST", f"/api/users/{new_id()}/approve"),
            ("POST", f"/api/users/{new_id()}/suspend"),
            ("POST", f"/api/users/{new_id()}/password-reset"),
            ("GET", "/api/corporations"),
            ("POST", "/api/corporations"),
            ("PATCH", f"/api/corporations/{new_id()}"),
            ("DELETE", f"/api/corporations/{new_id()}"),
            ("PUT", f"/api/corporations/{new_id()}/plan"),
            ("GET", "/api/admin/audit"),
        ],
    )
    async def test_members_and_anonymous_clients_are_refused(self, auth: Auth, method: str, path: str) -> None:
        await member(auth)
        refused = await auth.client.request(method, path, headers=await auth.bearer("alice"))
        assert problem(refused) == (403, "AUTH_FORBIDDEN")
        refused = await auth.client.request(method, path)
        assert problem(refused) == (401, "AUTH_INVALID_TOKEN")


class ResetContract:
    @pytest.fixture
    async def code(self, auth: Auth) -> str:
        """A code for alice, who is logged in somewhere."""
        user_id = await member(auth)
        answer = await auth.client.post(f"/api/users/{user_id}/password-reset", headers=await auth.bearer())
        assert answer.status_code == 201
        return str(answer.json()["code"])

    async def reset(self, auth: Auth, code: str, password: str = NEW) -> httpx.Response:
        return await auth.browser().post("/api/auth/reset", json={"code": code, "password": password})

    async def test_reset_code_works_once_and_ends_all_login_sessions(self, auth: Auth, code: str) -> None:
        token = (await auth.log_in("alice")).json()["refresh_token"]
        assert (await self.reset(auth, f" {code.lower()} ")).status_code == 204
        assert problem(await auth.log_in("alice")) == (401, "AUTH_INVALID_CREDENTIALS")
        assert (await auth.log_in("alice", NEW)).status_code == 200
        assert problem(await auth.refresh(token)) == (401, "AUTH_INVALID_TOKEN")
        assert problem(await self.reset(auth, code)) == (403, "AUTH_RESET_CODE_INVALID")

    async def test_one_of_concurrent_uses_of_a_code_succeeds(self, auth: Auth, code: str) -> None:
        answers = await asyncio.gather(*(self.reset(auth, code, f"{NEW} {number}") for number in range(4)))
        assert sorted(answer.status_code for answer in answers) == [204, 403, 403, 403]

    async def test_reset_code_expires(self, auth: Auth, code: str, clock: Clock) -> None:
        clock.advance(seconds=auth.settings.reset_ttl_sec)
        assert problem(await self.reset(auth, code)) == (403, "AUTH_RESET_CODE_INVALID")

    async def test_newer_code_or_new_password_voids_code(self, auth: Auth, code: str) -> None:
        me = (await auth.client.get("/api/users/me", headers=basic("alice", PASSWORD))).json()["id"]
        newer = await auth.client.post(f"/api/users/{me}/password-reset", headers=await auth.bearer())
        assert problem(await self.reset(auth, code)) == (403, "AUTH_RESET_CODE_INVALID")
        body = {"current_password": PASSWORD, "new_password": NEW}
        await auth.client.patch("/api/users/me", json=body, headers=basic("alice", PASSWORD))
        assert problem(await self.reset(auth, newer.json()["code"])) == (403, "AUTH_RESET_CODE_INVALID")

    async def test_refused_password_keeps_code_valid(self, auth: Auth, code: str) -> None:
        assert problem(await self.reset(auth, code, "password1")) == (422, "VALIDATION_FAILED")
        assert (await self.reset(auth, code)).status_code == 204

    async def test_guesses_of_codes_are_limited(self, auth: Auth) -> None:
        for number in range(auth.settings.login_attempts_per_address):
            assert problem(await self.reset(auth, f"guess-{number}")) == (403, "AUTH_RESET_CODE_INVALID")
        assert problem(await self.reset(auth, "guess")) == (429, "AUTH_RATE_LIMITED")

    async def test_only_hash_of_code_is_stored(self, auth: Auth, code: str, database: Database) -> None:
        async with database.read() as session:
            (kept,) = (await session.scalars(select(PasswordReset))).all()
        assert len(kept.code_hash) == 64
        assert code.replace("-", "") not in kept.code_hash.upper()
        assert len(code.replace("-", "")) == 25
        assert auth.service.name == "auth"


class EverythingContract(OwnAccountContract, AdministrationContract, ResetContract):
    """Holds for every database; subclasses say where theirs is."""


class TestSqlite(EverythingContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(EverythingContract):
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
