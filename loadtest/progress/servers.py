"""The two servers that are compared, each in a process of its own.

python -m loadtest.progress.servers marquee|bare PORT KEY_FILE

`MARQUEE_DATABASE_URL` names a database that `loadtest.progress.viewers.fill` has filled.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import NoReturn

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.types import ASGIApp

from kit.auth.authentication import Authenticator
from kit.auth.tokens import TokenVerifier
from kit.db.database import Database
from kit.service import HttpServer, Role, listen, run_until_signal
from kit.settings import load
from kit.telemetry import configure_logging
from services.auth.credentials.keys import KeyRing
from services.progress.__main__ import build
from services.progress.models import WatchProgress
from services.progress.settings import ProgressSettings


async def _refuse(login: str, password: str, address: str) -> NoReturn:
    raise NotImplementedError


def marquee(settings: ProgressSettings, key_file: Path) -> ASGIApp:
    """Return progress's application, with the public keys from a file instead of from auth."""
    keys = KeyRing(key_file)

    async def fetch() -> str:
        return keys.current.jwks_json()

    service = build(settings, Role.API)
    service.app.state.authenticate = Authenticator(TokenVerifier(fetch), _refuse)
    return service.root_app


class Position(BaseModel):
    """The body of a report to the bare application."""

    position: float
    duration: float


def bare(settings: ProgressSettings) -> ASGIApp:
    """Return the usual application: one ORM object is read and changed, without rules, logs, metrics and tokens."""
    app = FastAPI()
    sessions = async_sessionmaker(Database(settings.database_url).engine, class_=AsyncSession, expire_on_commit=False)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.put("/api/progress/{video_id}")
    async def report(video_id: str, user_id: str, body: Position) -> dict[str, float]:
        async with sessions.begin() as session:
            record = await session.get(WatchProgress, (user_id, video_id))
            assert record  # noqa: S101 - filled before
            record.position_sec = body.position
        return {"position": body.position}

    return app


async def _serve_marquee(port: int, key_file: Path) -> None:
    settings = load(ProgressSettings)
    configure_logging(settings.log_level, settings.log_format)
    server = HttpServer(marquee(settings, key_file), settings)
    await run_until_signal(server, [listen("127.0.0.1", port)], lambda: None)


def main(name: str, port: int, key_file: Path) -> None:
    """Serve one of the applications."""
    if name == "marquee":
        asyncio.run(_serve_marquee(port, key_file))
        return
    config = uvicorn.Config(
        bare(load(ProgressSettings)), http="httptools", lifespan="off", access_log=False, log_level="warning"
    )
    with listen("127.0.0.1", port) as listener:
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
