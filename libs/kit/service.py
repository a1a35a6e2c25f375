"""Run a service: what a composition root returns, and the command line that starts it.

python -m services.<name> serve     HTTP, gRPC, consumers and relay in one process
python -m services.<name> api       HTTP and gRPC only
python -m services.<name> worker    consumers, relay and maintenance only (HTTP answers health and metrics)
python -m services.<name> migrate   brings the database up to date
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp

from kit.bus import Bus
from kit.health import Health
from kit.rpc import GrpcServer, shares_port
from kit.settings import ServiceSettings, SettingsError, load, names, refuse_typos, stop_start
from kit.telemetry import configure_logging, service_context
from kit.web.app import create_app
from kit.web.limits import RequestLimits
from kit.web.server import HttpServer, allow_connections, listen, listen_all, run_until_signal
from kit.web.workers import Inheritance, add_arguments, inheritance, run_workers

__all__ = ["HttpServer", "Role", "Service", "listen", "main", "run_until_signal"]

log = structlog.get_logger()
S = TypeVar("S", bound=ServiceSettings)
Loop = Callable[[], Awaitable[None]]
"""Work that runs until it is cancelled."""
RESTART_LOOP_SEC = 1.0
THREADS_SEC = 2.0
"""How long threads may take to end when all else has ended."""
STOP_SEC = 10.0
"""How long a stop may take beyond what work in hand gets."""


class Role(Enum):
    """Which part of a service a process runs."""

    SERVE = "serve"
    API = "api"
    WORKER = "worker"

    @property
    def answers(self) -> bool:
        """Whether it gets requests, and with them the broadcasts that keep caches right."""
        return self is not Role.WORKER

    @property
    def works(self) -> bool:
        """Whether it consumes work queues and relays the outbox."""
        return self is not Role.API


@dataclass
class Service:
    """A wired service: `start` and `stop` it on one event loop."""

    name: str
    app: FastAPI
    health: Health
    grpc: GrpcServer
    outer_app: ASGIApp | None = None
    """Wraps `app`: answers what it can and passes the rest on to it. None if there is none."""
    bus: Bus | None = None
    """A bus of its own; None if it has none or the launcher runs a shared one."""
    prepare: Sequence[Callable[[], Awaitable[None]]] = ()
    """Run in order before anything is served."""
    background: Sequence[Loop] = ()
    shutdown_hooks: Sequence[Callable[[], Awaitable[object]]] = ()
    """Run in order at a stop, when requests are no longer answered and the bus still takes events."""
    resources: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Closed last: databases, channels."""
    _hooks_have_run: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def root_app(self) -> ASGIApp:
        """The application that gets requests: `outer_app`, or `app` if there is none."""
        return self.outer_app or self.app

    async def start(self) -> None:
        """Prepare, check the dependencies once, and begin to answer gRPC and to consume."""
        with service_context(self.name):
            for step in self.prepare:
                await step()
            await self.health.run_checks()
            if self.bus:
                await self.bus.start()
            await self.grpc.start()
            loops = [lambda: self.health.watch(self.grpc.report), *self.background]
            self._tasks = [asyncio.ensure_future(_supervised(loop)) for loop in loops]
            log.info("service_started", grpc_port=self.grpc.port)

    async def before_close(self) -> None:
        """Run the shutdown hooks, once. `stop` calls this, unless the launcher of a shared bus has."""
        if self._hooks_have_run:
            return
        self._hooks_have_run = True
        with service_context(self.name):
            for step in self.shutdown_hooks:
                try:
                    await step()
                except Exception:
                    log.exception("shutdown_hook_failed")

    async def stop(self, drain_sec: float) -> None:
        """Stop in order: take no new work, finish work in hand within `drain_sec`, close connections."""
        with service_context(self.name):
            self.health.stop()
            await self.before_close()
            if self.bus:
                await self.bus.close(drain_sec)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.grpc.stop(min(drain_sec, 2.0))
            await self.resources.aclose()
            log.info("service_stopped")


async def _supervised(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop that should never end; log an exception and start the loop again."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("background_loop_broke")
        await asyncio.sleep(RESTART_LOOP_SEC)


async def _run(
    name: str, build: Callable[[S, Role], Service], settings: S, role: Role, inherited: Inheritance | None
) -> None:
    with service_context(name):
        listeners = inherited.listeners if inherited else listen_all(settings.http_host, settings.http_port)
        lifeline = inherited.lifeline if inherited else None
        shares_port.set(inherited is not None)
        service = build(settings, role)
        service.app.state.limits = RequestLimits(settings.rate_limit_per_min, settings.user_rate_limit_per_min)
        app = service.root_app if role.answers else _bare_app(service)
        try:
            await service.start()
            await run_until_signal(HttpServer(app, settings), listeners, service.health.stop, lifeline)
        finally:
            await service.stop(settings.drain_sec)


def _bare_app(service: Service) -> FastAPI:
    """Return the application of a worker: health and metrics, nothing else."""
    return create_app(service.name, title=service.name, health=service.health, authenticate=None, routers={})


def main(
    name: str,
    settings_class: type[S],
    build: Callable[[S, Role], Service],
    migrate: Callable[[S], None] | None = None,
    arguments: Sequence[str] | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run the command line of a service.

    Args:
        name: the service's name.
        settings_class: its settings.
        build: its composition root; called on the event loop that will run the service.
        migrate: brings its database up to date; None if it has none.
        arguments: the command line, the process's own by default.
        loop_factory: makes its event loop; asyncio's own by default.
    """
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}", description=f"Marquee's {name} service.")
    roles = parser.add_subparsers(dest="role", required=True)
    add_arguments(roles.add_parser("serve", help="HTTP, gRPC, consumers and relay in one process"))
    add_arguments(roles.add_parser("api", help="HTTP and gRPC only"))
    roles.add_parser("worker", help="consumers, relay and maintenance only")
    if migrate:
        roles.add_parser("migrate", help="bring the database up to date, then end")
    chosen = parser.parse_args(arguments)
    try:
        settings = load(settings_class)
        configure_logging(settings.log_level, settings.log_format)
        for stranger in refuse_typos(names([settings_class])):
            log.debug("setting_not_used_here", setting=stranger)
        if chosen.role == "migrate" and migrate:
            migrate(settings)
            log.info("database_migrated", service=name)
            return
        allow_connections()
        role = Role(chosen.role)
        inherited = inheritance(chosen)
        if settings.http_workers > 1 and role.answers and inherited is None:
            raise SystemExit(_run_workers(name, settings))
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_run(name, build, settings, role, inherited))
    except SettingsError as error:
        stop_start(error)
    _leave_stuck_threads()


def _run_workers(name: str, settings: ServiceSettings) -> int:
    if settings.grpc_bind.startswith("unix:"):
        raise SettingsError("MARQUEE_HTTP_WORKERS can't be more than 1 where MARQUEE_GRPC_BIND is a Unix socket.")
    # A worker stops its server first, then all else.
    stop_sec = settings.drain_notice_sec + 2 * settings.drain_sec + STOP_SEC
    with service_context(name), listen_all(settings.http_host, settings.http_port) as listeners:
        return run_workers(settings.http_workers, listeners, stop_sec)


def _leave_stuck_threads() -> None:
    """End the process if its threads don't end: one that waits for a dead network share would block it for ever."""
    threads = [
        thread for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()
    ]
    deadline = time.monotonic() + THREADS_SEC
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    stuck = [thread.name for thread in threads if thread.is_alive()]
    if stuck:
        log.warning("threads_left_behind", threads=stuck)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
