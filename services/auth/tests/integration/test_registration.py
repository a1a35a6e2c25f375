"""Registration over HTTP, on both databases."""

from __future__ import annotations

import asyncio
import unicodedata

import pytest

from services.auth.tests.support import PASSWORD, Auth, StartAuth, problem


class RegisteringContract:
    """Holds for every database; subclasses say where theirs is."""

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


class TestSqlite(RegisteringContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(RegisteringContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url
