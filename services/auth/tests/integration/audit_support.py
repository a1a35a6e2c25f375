"""The audit log at a time that a test sets, its maintenance, and a server that receives alerts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from kit.db.database import Database
from services.auth.clients.webhook import Webhook
from services.auth.credentials.keys import KeyRing
from services.auth.credentials.login_attempts import LoginAttempts
from services.auth.credentials.passwords import PasswordHasher
from services.auth.service import Audit, Corporations, Logins
from services.auth.service.maintenance import Maintenance
from services.auth.tests.support import Auth, Clock

BURST = 5


def audit_of(database: Database, clock: Clock) -> Audit:
    return Audit(database, retention_days=30, burst=BURST, clock=clock)


def maintenance_of(auth: Auth, database: Database, clock: Clock, hook: Webhook | None = None) -> Maintenance:
    logins = Logins(
        database,
        PasswordHasher(4, ""),
        KeyRing(auth.settings.signing_key_file),
        LoginAttempts(None, 1, 1, 1),
        access_ttl_sec=auth.settings.access_ttl_sec,
        refresh_ttl_sec=auth.settings.refresh_ttl_sec,
        clock=clock,
    )
    return Maintenance(Corporations(database, clock), audit_of(database, clock), logins, hook)


@dataclass
class Hook:
    """An address that takes alerts."""

    port: int = 0
    status: int = 200
    headers: str = ""
    silent: bool = False
    requests: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    def url(self, target: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{target}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((head[0], headers, body.decode()))
        if self.silent:
            await reader.read()
        else:
            writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\n{self.headers}\r\n".encode())
        writer.close()


@asynccontextmanager
async def a_hook() -> AsyncIterator[Hook]:
    hook = Hook()
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    hook.port = server.sockets[0].getsockname()[1]
    async with AsyncExitStack() as stack:
        stack.callback(server.close)
        yield hook
