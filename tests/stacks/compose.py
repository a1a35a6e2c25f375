"""Marquee in containers, as `docker compose up --build` starts it, on a real engine."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from kit.testing.servers import free_port
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, UNLIMITED, Stack
from tests.stacks.docker_client import Engine, timed
from tests.stacks.docker_engine import private_engine, start_engine, stop_engine, usual_engine
from tests.stacks.standin_images import build_standins

SECRETS = (
    "POSTGRES_PASSWORD",
    "AUTH_DB_PASSWORD",
    "CATALOG_DB_PASSWORD",
    "PROGRESS_DB_PASSWORD",
    "STREAM_DB_PASSWORD",
    "RABBITMQ_PASSWORD",
    "REDIS_PASSWORD",
)


class ComposeStack(Stack):
    """The compose file of this repository, with base images that can be had on the machine.

    An engine that can't be had is an error, never a skip.
    """

    name = "compose"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine: Engine | None = None
        self._started_engine = False
        self._environment: dict[str, str] = {}

    def start(self) -> None:
        """Builds the images and starts the containers under a project name of their own."""
        self._started_engine = not (usual_engine().answers() or private_engine().answers())
        self._engine = start_engine()
        port = free_port()
        self._environment = {
            **build_standins(self._engine),
            **{name: secrets.token_hex(12) for name in SECRETS},
            "COMPOSE_PROJECT_NAME": f"marquee-test-{secrets.token_hex(4)}",
            "MARQUEE_HTTP_BIND": "127.0.0.1",
            "MARQUEE_HTTP_PORT": str(port),
            "MARQUEE_ADMIN_LOGIN": ADMIN_LOGIN,
            "MARQUEE_ADMIN_PASSWORD": ADMIN_PASSWORD,
            # Long enough for a machine that is busy with builds and browsers.
            "MARQUEE_SESSION_IDLE_SEC": "20",
            **UNLIMITED,
            # Tests come as many clients of one administrator.
            "MARQUEE_MAX_STREAMS_PER_USER": "100",
        }
        with timed("docker compose build"):
            self.compose("build")
        with timed("docker compose up"):
            self.compose("up", "--detach", "--wait", "--wait-timeout", "600")
        self.base_url = f"http://127.0.0.1:{port}"
        self.wait_healthy()

    def stop(self) -> None:
        """Keeps the containers' last words and removes everything of the project but the images."""
        if self._engine and self._environment:
            (self._folder / "containers.log").write_text(self.compose("logs", "--no-color", check=False))
            self.compose("down", "--volumes", "--timeout", "20", check=False)
        if self._started_engine:
            stop_engine()

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Runs docker compose on this stack; answers what it printed."""
        assert self._engine is not None
        try:
            # The .env of the developer who runs the tests must not be read.
            done = self._engine.docker(
                "compose", "--env-file", "/dev/null", *arguments, env=self._environment, check=check
            )
        except RuntimeError as error:
            raise AssertionError(f"{error}\n{self._last_words()}") from error
        return done.stdout

    def replicas(self, service: str) -> list[str]:
        """The containers of a service that are healthy."""
        assert self._engine is not None
        ids = self.compose("ps", "--quiet", service).split()
        health = "{{.Id}} {{.State.Health.Status}}"
        lines = self._engine.docker("inspect", "--format", health, *ids, check=False).stdout.splitlines()
        return [line.split()[0] for line in lines if line.endswith(" healthy")]

    def signal(self, container: str, number: int) -> None:
        """Sends a signal to a container's first process, as a crash or the kernel would: its restart policy holds."""
        assert self._engine is not None
        pid = int(self._engine.docker("inspect", "--format", "{{.State.Pid}}", container).stdout)
        os.kill(pid, number)

    def _last_words(self) -> str:
        assert self._engine is not None
        words = self._engine.docker(
            "compose",
            "--env-file",
            "/dev/null",
            "logs",
            "--no-color",
            "--tail",
            "20",
            env=self._environment,
            check=False,
        )
        return words.stdout[-6000:]
