"""Every route of auth and every kind of caller, compared with a table that people can read: `matrix.txt`.

A route that is not in the table fails the test, and so does a line without a route. A line that a change has made wrong
is shown as it would have to be.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from kit.auth import client as auth_client
from services.auth.credentials.keys import SigningKeys
from services.auth.models import User
from services.auth.tests.support import ADMIN, PASSWORD, Auth, StartAuth, basic

TABLE = Path(__file__).with_name("matrix.txt")
CALLERS = ("anonymous", "pending", "suspended", "member", "outsider", "admin", "expired", "revoked")
NEW = "staple the battery"
BODIES: dict[str, Any] = {
    "POST /api/auth/register": {"login_id": "{new}", "password": PASSWORD, "display_name": "New"},
    "POST /api/auth/login": {"login_id": ADMIN, "password": PASSWORD},
    "POST /api/auth/check": {"login_id": ADMIN, "password": PASSWORD},
    "POST /api/auth/refresh": {"refresh_token": "unknown"},
    "POST /api/auth/reset": {"code": "unknown", "password": NEW},
    "PATCH /api/users/me": {"display_name": "Other"},
    "POST /api/users": {"login_id": "{new}", "password": PASSWORD, "display_name": "New"},
    "PATCH /api/users/{user_id}": {"role": "admin"},
    "POST /api/corporations": {"name": "{new}"},
    "PATCH /api/corporations/{corporation_id}": {"name": "{new}"},
    "PUT /api/corporations/{corporation_id}/plan": {"plan": "paid"},
}
"""What is sent to routes that take something."""


class CallerMatrix:
    """Callers of every kind, and what they call."""

    def __init__(self, auth: Auth) -> None:
        self.auth = auth
        self.admin = basic(ADMIN, PASSWORD)
        self.credentials: dict[str, dict[str, str]] = {"anonymous": {}}
        self.number = 0

    async def act(self, method: str, path: str, body: Any = None) -> Any:
        """Something that the administrator does."""
        answer = await self.auth.client.request(method, path, json=body, headers=self.admin)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def name(self) -> str:
        self.number += 1
        return f"user-{self.number}"

    async def account(self, **fields: Any) -> tuple[str, dict[str, str]]:
        """A new account's id and credentials."""
        login = self.name()
        body = {"login_id": login, "password": PASSWORD, "display_name": login, **fields}
        made = await self.act("POST", "/api/users", body)
        return str(made["id"]), basic(login, PASSWORD)

    async def set_up(self) -> None:
        """Makes those who are refused everywhere."""
        login = self.name()
        await self.auth.register(login)
        self.credentials["pending"] = basic(login, PASSWORD)
        user_id, self.credentials["suspended"] = await self.account()
        await self.act("POST", f"/api/users/{user_id}/suspend")
        self.credentials["expired"] = {"Authorization": f"Bearer {self.expired(user_id)}"}
        revoked = self.credentials["revoked"] = await self.auth.bearer()
        await self.auth.client.post("/api/auth/logout", headers=revoked)
        async with asyncio.timeout(60):
            while (await self.auth.client.get("/api/users/me", headers=revoked)).is_success:  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.01)

    def expired(self, user_id: str) -> str:
        now = datetime.now(UTC)
        user = User(
            id=user_id,
            login_id="x",
            login_key="x",
            display_name="x",
            password_hash="",
            role="admin",
            status="active",
            claims_version=1,
            created_at=now,
            updated_at=now,
        )
        return SigningKeys.load(self.auth.settings.signing_key_file).mint(user, "session", -1)

    async def ask(self, route: str, caller: str) -> int:
        """The status that a kind of caller gets, with everything that is called made for this one question."""
        names = {"new": self.name(), "session_id": "absent"}
        names["corporation_id"] = (await self.act("POST", "/api/corporations", {"name": self.name()}))["id"]
        credentials = self.credentials.get(caller)
        match caller:
            case "member":
                _, credentials = await self.account(corporation_id=names["corporation_id"])
            case "outsider":
                elsewhere = (await self.act("POST", "/api/corporations", {"name": self.name()}))["id"]
                _, credentials = await self.account(corporation_id=elsewhere)
            case "admin":
                _, credentials = await self.account(role="admin")
        if "{user_id}" in route:
            names["user_id"], _ = await self.account()
        if route == "DELETE /api/corporations/{corporation_id}":
            names["corporation_id"] = (await self.act("POST", "/api/corporations", {"name": self.name()}))["id"]
        method, path = route.split()
        options: dict[str, Any] = {}
        if body := BODIES.get(route):
            options["json"] = {key: value.replace("{new}", names["new"]) for key, value in body.items()}
        if route == "POST /api/auth/token":
            options["data"] = {"grant_type": "password", "username": ADMIN, "password": PASSWORD}
        client: httpx.AsyncClient = self.auth.browser(names["new"])
        answer = await client.request(method, path.format(**names), headers=credentials, **options)
        return answer.status_code


@pytest.fixture
async def matrix(start_auth: StartAuth, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CallerMatrix]:
    monkeypatch.setattr(auth_client, "REVOCATIONS_SEC", 0.01)
    async with start_auth(registration="approval") as auth:
        matrix = CallerMatrix(auth)
        await matrix.set_up()
        yield matrix


def routes(auth: Auth) -> set[str]:
    paths = auth.service.app.openapi()["paths"]
    listed = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    return listed | {"GET /.well-known/jwks.json"}


def table() -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for line in TABLE.read_text().splitlines():
        if match := re.fullmatch(r"([A-Z]+) +(/\S+) +((?:\d{3} *)+)", line):
            rows[f"{match[1]} {match[2]}"] = [int(status) for status in match[3].split()]
    return rows


def line(route: str, statuses: list[int]) -> str:
    method, path = route.split()
    return f"{method:7}{path:42}" + "".join(f"{status:<11}" for status in statuses).rstrip()


async def test_every_route_answers_every_caller_like_the_table(matrix: CallerMatrix) -> None:
    expected = table()
    assert set(expected) == routes(matrix.auth)
    wrong = []
    for route in sorted(expected):
        statuses = [await matrix.ask(route, caller) for caller in CALLERS]
        if statuses != expected[route]:
            wrong.append(line(route, statuses))
    assert not wrong, "\n".join(wrong)


def test_every_route_has_a_request_to_try_it_with() -> None:
    requests = (TABLE.parents[4] / "docs" / "http" / "auth.http").read_text()
    written = set(re.findall(r"^([A-Z]+) \{\{base\}\}([^?\s]+)", requests, re.MULTILINE))
    assert {(route.split()[0], route.split()[1].replace("{", "{{").replace("}", "}}")) for route in table()} == written
