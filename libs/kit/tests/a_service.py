"""A service for tests that need a real process: `python -m kit.tests.a_service serve`."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog
from pydantic import Field
from starlette.types import Receive, Scope, Send

from kit.health import Health
from kit.rpc import GrpcServer
from kit.service import Role, Service, main
from kit.settings import ServiceSettings
from kit.web.app import create_app

log = structlog.get_logger()


class Settings(ServiceSettings):
    """The settings of this service."""

    file: Path = Field(..., description="What `/file` sends.")


class DeadShare:
    """A store whose reads never come back."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="share")

    def is_resident(self, _fd: int, _offset: int, _count: int) -> bool:
        return False

    def run(self, _step: Callable[[], int]) -> Future[int]:
        log.info("asked")
        return self._pool.submit(threading.Event().wait)


class Front:
    """Answers with a file, with the process's id, or never."""

    def __init__(self, service: Service, file: Path) -> None:
        self._service = service
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in {"/file", "/dead-share"}:
            message: dict[str, Any] = {"type": "http.response.zerocopysend"}
            if scope["path"] == "/dead-share":
                message["residency"] = DeadShare()
            with self._file.open("rb") as file:
                await send(_start(self._file.stat().st_size))
                await send({**message, "file": file})
        elif scope["path"] == "/pid":
            body = str(os.getpid()).encode()
            await send(_start(len(body)))
            await send({"type": "http.response.body", "body": body})
        elif scope["path"] == "/deaf":
            # Neither answers nor listens.
            log.info("asked")
            await asyncio.Event().wait()
        else:
            await self._service.app(scope, receive, send)


def _start(length: int) -> dict[str, Any]:
    headers = [(b"content-length", str(length).encode())]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def build(settings: Settings, role: Role) -> Service:
    """The composition root."""
    health = Health()
    service = Service(
        name="kit",
        app=create_app("kit", title="Kit", health=health, authenticate=None, routers={}),
        health=health,
        grpc=GrpcServer("kit", settings.grpc_bind),
    )
    service.outer_app = Front(service, settings.file)
    return service


if __name__ == "__main__":
    main("kit", Settings, build)
