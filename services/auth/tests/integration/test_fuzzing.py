"""Requests made of auth's own OpenAPI document, sound and broken ones, sent by everybody over a real socket.

Schemathesis makes them and compares every answer with the document: no 5xx, no status, media type, header field or body
that the document doesn't know. `FUZZING_SEED` chooses which they are. A failure shows it, and the request for curl.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kit.service import HttpServer, listen
from kit.testing.depth import cases
from services.auth.tests.support import ADMIN, PASSWORD, Auth, StartAuth

SEED = int(os.environ.get("FUZZING_SEED", "1"))
EXAMPLES = cases(quick=3, deep=50)
"""Requests of a route and caller, sound and broken ones, about what there is and about anything: four times as many."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MANY = 1_000_000
_CREDENTIALS = {"login_id": ADMIN, "password": PASSWORD}
_ACCOUNT = {"login_id": "{new}", "password": PASSWORD, "display_name": "New"}
BODIES = {
    "POST /api/auth/login": _CREDENTIALS,
    "POST /api/auth/check": _CREDENTIALS,
    "POST /api/auth/token": {"grant_type": "password", "username": ADMIN, "password": PASSWORD},
    "POST /api/auth/register": _ACCOUNT,
    "POST /api/users": _ACCOUNT,
    "PATCH /api/users/me": {"display_name": "Other"},
    "PATCH /api/users/{user_id}": {"display_name": "Other"},
    "POST /api/corporations": {"name": "{new}"},
    "PATCH /api/corporations/{corporation_id}": {"name": "{new}"},
    "PUT /api/corporations/{corporation_id}/plan": {"plan": "paid"},
}
"""What routes take that look at more than the document can tell."""
PUBLIC = {f"POST /api/auth/{name}" for name in ("register", "login", "token", "refresh", "check")}
OWN = {
    "GET /api/users/me",
    "PATCH /api/users/me",
    "DELETE /api/users/me",
    "GET /api/users/me/login-sessions",
    "DELETE /api/users/me/login-sessions/{session_id}",
    "POST /api/auth/logout",
}
SUCCEED: dict[str, Callable[[set[str]], set[str]]] = {
    "anonymous": lambda _routes: PUBLIC,
    "member": lambda _routes: PUBLIC | OWN,
    "admin": lambda routes: routes - {"POST /api/auth/reset"},
}
"""Which routes succeed for which caller; no caller has a code for a new password."""


@asynccontextmanager
async def listening(auth: Auth) -> AsyncIterator[str]:
    """The service under its address."""
    listener = listen("127.0.0.1", 0)
    server = HttpServer(auth.service.app, auth.settings)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving


class Callers:
    """Create a user for each route, so that what one route does to an account does not affect the others."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._number = 0

    async def headers(self, kind: str) -> dict[str, str]:
        """Credentials."""
        if kind == "anonymous":
            return {}
        self._number += 1
        login = f"{kind}-{self._number}"
        user_id = (await self._auth.register(login)).json()["id"]
        if kind == "admin":
            admin = await self._auth.bearer()
            await self._auth.client.patch(f"/api/users/{user_id}", json={"role": "admin"}, headers=admin)
        return await self._auth.bearer(login)

    async def subjects(self, headers: dict[str, str]) -> dict[str, str]:
        """Ids that there are; for callers who are logged in, with that of their login session."""
        self._number += 1
        user_id = (await self._auth.register(f"subject-{self._number}")).json()["id"]
        made = await self._auth.client.post(
            "/api/corporations", json={"name": f"Acme {self._number}"}, headers=await self._auth.bearer()
        )
        ids = {"user_id": user_id, "corporation_id": made.json()["id"]}
        if headers:
            own = await self._auth.client.get("/api/users/me/login-sessions", headers=headers)
            ids["session_id"] = own.json()["items"][0]["id"]
        return ids

    async def body(self, route: str) -> dict[str, str]:
        """What a route wants of which the document can't tell enough: credentials that there are, a good login."""
        if route == "POST /api/auth/refresh":
            return {"refresh_token": (await self._auth.log_in()).json()["refresh_token"]}
        self._number += 1
        return {name: value.format(new=f"new-{self._number}") for name, value in BODIES.get(route, {}).items()}


@dataclass(frozen=True, slots=True)
class Target:
    """A route, and what there is for it to act on."""

    operation: Any
    base_url: str
    headers: dict[str, str]
    ids: dict[str, str]
    body: dict[str, str]
    """Empty for what the document tells enough of."""

    def fuzz(self) -> set[int]:
        """Sends requests of every kind; answers with which statuses they were met."""
        return set[int]().union(*(self._fuzz(mode, known) for mode in GenerationMode for known in (True, False)))

    def _fuzz(self, mode: GenerationMode, known: bool) -> set[int]:
        met = set()

        @hypothesis.seed(SEED)
        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        )
        @hypothesis.given(case=self.operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            if known:
                asked = case.path_parameters or {}
                case.path_parameters = {name: self.ids.get(name, value) for name, value in asked.items()}
                if self.body and mode is GenerationMode.POSITIVE:
                    case.body = self.body
            case.headers.update(self.headers)
            met.add(case.call_and_validate(base_url=self.base_url, checks=CHECKS).status_code)

        try:
            ask()
        except BaseExceptionGroup as found:
            raise AssertionError(f"FUZZING_SEED={SEED}: {found}") from found
        return met


@pytest.mark.parametrize("kind", ["anonymous", "member", "admin"])
async def test_any_request_gets_a_documented_response(kind: str, start_auth: StartAuth) -> None:
    unlimited = {"login_attempts": MANY, "login_attempts_per_address": MANY, "login_attempts_per_account": MANY}
    async with start_auth(registration="open", **unlimited) as auth, listening(auth) as base_url:
        callers = Callers(auth)
        met: dict[str, set[int]] = {}
        document: Any = schemathesis.openapi.from_dict(auth.service.app.openapi())
        for operation in (found.ok() for found in document.get_all_operations()):
            headers = await callers.headers(kind)
            body = await callers.body(operation.label)
            target = Target(operation, base_url, headers, await callers.subjects(headers), body)
            met[operation.label] = await asyncio.to_thread(target.fuzz)
    # That all of it was refused would show nothing.
    succeeded = {route for route, statuses in met.items() if any(status < 300 for status in statuses)}
    assert succeeded == SUCCEED[kind](set(met))
