"""Marquee in containers, as `docker compose up --build` starts it, on a real engine."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from pathlib import Path

from kit.testing.servers import free_port
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, REPOSITORY, UNLIMITED, Stack
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


ANY_CHARACTERS = "p@ss:/?#[]%&word"
"""Part of every password of the stack."""

VERSION = "test"
IMAGES = ("auth", "catalog", "gateway", "progress", "stream", "thumbnailer")


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
        self.env_file = folder / ".env"

    def start(self) -> None:
        """Builds the images and starts the containers under a project name of their own."""
        self._started_engine = not (usual_engine().answers() or private_engine().answers())
        self._engine = start_engine()
        port = free_port()
        self._environment = {
            **build_standins(self._engine),
            **{name: secrets.token_hex(12) + ANY_CHARACTERS for name in SECRETS},
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
        # The .env of the developer who runs the tests must not be read. It has the version, which upgrades change.
        self.env_file.write_text(f"MARQUEE_VERSION={VERSION}\n")
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
            done = self._engine.docker(
                "compose", "--env-file", str(self.env_file), *arguments, env=self._environment, check=check
            )
        except RuntimeError as error:
            raise AssertionError(f"{error}\n{self._last_words()}") from error
        return done.stdout

    def docker(self, *arguments: str) -> str:
        """Run the docker client on this stack's engine; return what it printed."""
        assert self._engine is not None
        return self._engine.docker(*arguments).stdout

    def make_version(self, version: str) -> None:
        """Tag the images that run as another version, which serves `/version.txt` with its name.

        Its code is the same: this is about how containers are replaced, not about what differs between two releases.
        """
        for name in IMAGES:
            image = f"marquee/{name}"
            lines = [f"FROM {image}:{VERSION}", f"LABEL org.opencontainers.image.version={version}"]
            if name == "gateway":
                lines += ["USER root", f"RUN echo {version} > /usr/share/nginx/html/version.txt", "USER 101:101"]
            recipe = self._folder / f"{name}-{version}"
            recipe.mkdir(exist_ok=True)
            (recipe / "Dockerfile").write_text("\n".join(lines))
            self.docker("buildx", "build", "--quiet", "--load", "--tag", f"{image}:{version}", str(recipe))

    def upgrade(self, *arguments: str, kill_after: str | None = None) -> str:
        """Run `scripts/upgrade`, as `make upgrade` does; return what it printed.

        Args:
            arguments: its own.
            kill_after: kill it, and all that it started, when it has printed a line with this text.
        """
        assert self._engine is not None
        environment = {
            **os.environ,
            **self._engine.environment,
            **self._environment,
            "ENV_FILE": str(self.env_file),
            "UPGRADE_SETTLE_SEC": "3",
        }
        printed = ""
        with subprocess.Popen(
            [REPOSITORY / "scripts" / "upgrade", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as script:
            assert script.stdout is not None
            for line in script.stdout:
                printed += line
                if kill_after and kill_after in line:
                    os.killpg(script.pid, signal.SIGKILL)
        assert script.returncode == (-signal.SIGKILL if kill_after else 0), printed
        return printed

    def versions(self) -> set[str]:
        """Return the versions of the services' containers, whether they run or not."""
        ids = self.compose("ps", "--all", "--quiet", *(name for name in IMAGES if name != "gateway")).split()
        names = self.docker("inspect", "--format", "{{.Config.Image}}", *ids).split()
        return {name.rpartition(":")[2] for name in names}

    def containers(self) -> dict[str, str]:
        """Return for each container that runs, by its name, its id and when it was started."""
        ids = self.compose("ps", "--quiet").split()
        lines = self.docker("inspect", "--format", "{{.Name}} {{.Id}} {{.State.StartedAt}}", *ids).splitlines()
        return dict(line.split(" ", 1) for line in lines)

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
            str(self.env_file),
            "logs",
            "--no-color",
            "--tail",
            "20",
            env=self._environment,
            check=False,
        )
        return words.stdout[-6000:]
