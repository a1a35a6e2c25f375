"""Codes that reset a password, on both databases."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from sqlalchemy import select

from kit.db.database import Database
from services.auth.models import PasswordReset
from services.auth.tests.integration.accounts import NEW, member
from services.auth.tests.support import PASSWORD, Auth, Clock, basic, problem


class ResetContract:
    """Holds for every database; subclasses say where theirs is."""

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


class TestSqlite(ResetContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(ResetContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url
