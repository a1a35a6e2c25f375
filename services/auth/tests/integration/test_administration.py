"""What administrators do with accounts, over HTTP, on both databases."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from kit.db.database import Database
from kit.ids import new_id
from kit.testing.queries import count_queries
from services.auth.models import User
from services.auth.tests.integration.accounts import member
from services.auth.tests.support import ADMIN, PASSWORD, Auth, Clock, problem


class AdministrationContract:
    """Holds for every database; subclasses say where theirs is."""

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


class TestSqlite(AdministrationContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(AdministrationContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url
