"""Users see where they are logged in, and end what they do not recognise, on both databases."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from kit.ids import new_id
from services.auth.tests.integration.accounts import member
from services.auth.tests.support import PASSWORD, Auth, Clock, basic, problem

ROUTE = "/api/users/me/login-sessions"
PHONE = {"User-Agent": "Phone/1"}


async def log_in_on(auth: Auth, agent: str, address: str = "10.0.0.1", login: str = "alice") -> dict[str, Any]:
    client = auth.browser(address)
    client.headers["User-Agent"] = agent
    return dict((await auth.log_in(login, client=client)).json())


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def listed(auth: Auth, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await auth.client.get(ROUTE, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


class OwnLoginSessionsContract:
    async def test_lists_last_used_first_and_marks_the_callers(self, auth: Auth, clock: Clock) -> None:
        await member(auth)
        phone = await log_in_on(auth, "Phone/1", "192.0.2.1")
        clock.advance(minutes=1)
        desk = await log_in_on(auth, "Desk/2")
        await log_in_on(auth, "Other/1", login="admin")
        sessions = await listed(auth, bearer(desk))
        seen = [(each["user_agent"], each["client_address"], each["is_current"]) for each in sessions]
        assert seen == [("Desk/2", "10.0.0.1", True), ("Phone/1", "192.0.2.1", False)]

        clock.advance(minutes=1)
        client: httpx.AsyncClient = auth.browser("192.0.2.2")
        await client.post("/api/auth/refresh", json={"refresh_token": phone["refresh_token"]}, headers=PHONE)
        sessions = await listed(auth, bearer(desk))
        assert [each["client_address"] for each in sessions] == ["192.0.2.2", "10.0.0.1"], "renewed, and still one line"
        assert sessions[0]["began_at"] < sessions[0]["last_used_at"]

    async def test_ended_one_is_gone_and_others_stay(self, auth: Auth) -> None:
        await member(auth)
        phone, desk = await log_in_on(auth, "Phone/1"), await log_in_on(auth, "Desk/2")
        (target,) = [each["id"] for each in await listed(auth, bearer(desk)) if not each["is_current"]]
        assert (await auth.client.delete(f"{ROUTE}/{target}", headers=bearer(desk))).status_code == 204
        assert [each["user_agent"] for each in await listed(auth, bearer(desk))] == ["Desk/2"]
        assert problem(await auth.refresh(phone["refresh_token"])) == (401, "AUTH_INVALID_TOKEN")
        assert (await auth.refresh(desk["refresh_token"])).status_code == 200
        (event,) = await auth.events("auth.token_revoked")
        assert event["family_id"] == target
        again = await auth.client.delete(f"{ROUTE}/{target}", headers=bearer(desk))
        assert problem(again) == (404, "CONTENT_NOT_FOUND")

    async def test_those_of_other_users_cannot_be_ended(self, auth: Auth) -> None:
        await member(auth)
        admin, alice = await log_in_on(auth, "Desk/2", login="admin"), await log_in_on(auth, "Phone/1")
        (target,) = [each["id"] for each in await listed(auth, bearer(alice))]
        for session_id in (target, new_id(), "no-id"):
            answer = await auth.client.delete(f"{ROUTE}/{session_id}", headers=bearer(admin))
            assert problem(answer) == (404, "CONTENT_NOT_FOUND")
        assert len(await listed(auth, bearer(alice))) == 1

    async def test_leaves_out_what_has_expired_or_was_logged_out(self, auth: Auth, clock: Clock) -> None:
        await member(auth)
        await log_in_on(auth, "Old/1")
        clock.advance(seconds=auth.settings.refresh_ttl_sec + 1)
        left = await log_in_on(auth, "Left/1")
        await auth.client.post("/api/auth/logout", headers=bearer(left))
        assert await listed(auth, basic("alice", PASSWORD)) == []

    @pytest.mark.parametrize(("agent", "kept"), [("x" * 500, "x" * 200), ("", ""), ("a\tb", "ab")])
    async def test_keeps_a_bounded_printable_name(self, auth: Auth, agent: str, kept: str) -> None:
        await member(auth)
        tokens = await log_in_on(auth, agent)
        assert [each["user_agent"] for each in await listed(auth, bearer(tokens))] == [kept]


class TestSqlite(OwnLoginSessionsContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(OwnLoginSessionsContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url
