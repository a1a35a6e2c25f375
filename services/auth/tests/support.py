"""A running auth service and its clients, for tests."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from grpc import aio
from sqlalchemy import select

from kit.auth.authentication import CSRF_HEADER
from kit.db.database import Database
from kit.events.outbox import outbox
from kit.rpc import connect
from kit.service import Role, Service
from kit.settings import load
from kit.testing.fakes import FakeBus
from services.auth.__main__ import build
from services.auth.settings import AuthSettings

ADMIN = "admin"
PASSWORD = "correct horse battery"
BROWSER = {CSRF_HEADER: "fetch"}


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **delta: float) -> None:
        self.now += timedelta(**delta)


def settings_of(folder: Path, changes: dict[str, Any]) -> AuthSettings:
    values: dict[str, Any] = {
        "broker_url": "local:",
        "signing_key_file": folder / "keys.json",
        "grpc_bind": f"unix:{folder}/{uuid.uuid4().hex[:8]}",
        "admin_login": ADMIN,
        "admin_password": PASSWORD,
        "bcrypt_cost": 4,
    }
    return load(AuthSettings, **(values | changes))


def named(kind: str, names: Iterable[str]) -> str:
    """Return the one of several cookie names that is of a kind, with an installation's name behind it."""
    (name,) = (name for name in names if name.startswith(f"{kind}_"))
    return name


class Auth:
    """A running service."""

    def __init__(self, service: Service, settings: AuthSettings, database: Database, stack: AsyncExitStack) -> None:
        self.service = service
        self.settings = settings
        self._database = database
        self._stack = stack
        self.client = self.browser()

    def browser(self, address: str = "10.0.0.1", scheme: str = "http") -> httpx.AsyncClient:
        """A client with a cookie jar of its own."""
        transport = httpx.ASGITransport(self.service.app, client=(address, 50_000))
        client = httpx.AsyncClient(transport=transport, base_url=f"{scheme}://marquee.test")
        self._stack.push_async_callback(client.aclose)
        return client

    async def channel(self) -> aio.Channel:
        """How other services reach it."""
        return await self._stack.enter_async_context(connect(self.settings.grpc_bind))

    async def register(self, login: str, password: str = PASSWORD, name: str = "Some One") -> httpx.Response:
        body = {"login_id": login, "password": password, "display_name": name}
        return await self.browser().post("/api/auth/register", json=body)

    async def log_in(
        self, login: str = ADMIN, password: str = PASSWORD, client: httpx.AsyncClient | None = None
    ) -> httpx.Response:
        body = {"login_id": login, "password": password}
        return await (client or self.browser()).post("/api/auth/login", json=body)

    async def refresh(self, token: str) -> httpx.Response:
        return await self.browser().post("/api/auth/refresh", json={"refresh_token": token})

    async def bearer(self, login: str = ADMIN, password: str = PASSWORD) -> dict[str, str]:
        """Log in and return the headers that authenticate a request."""
        answer = await self.log_in(login, password)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def events(self, type_: str) -> list[dict[str, Any]]:
        """Bodies of the events of a type, oldest first, with their subject and version."""
        statement = select(outbox).where(outbox.c.type == type_).order_by(outbox.c.occurred_at, outbox.c.id)
        async with self._database.read() as session:
            rows = (await session.execute(statement)).all()
        return [{**json.loads(row.body), "subject": row.subject, "version": row.version} for row in rows]


@asynccontextmanager
async def an_auth(folder: Path, clock: Clock, changes: dict[str, Any]) -> AsyncIterator[Auth]:
    """Starts the service as its composition root wires it."""
    settings = settings_of(folder, changes)
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        service = build(settings, Role.API, FakeBus(), clock=clock)
        stack.push_async_callback(service.stop, 0)
        await service.start()
        yield Auth(service, settings, database, stack)


StartAuth = Callable[..., AbstractAsyncContextManager[Auth]]


def basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]
