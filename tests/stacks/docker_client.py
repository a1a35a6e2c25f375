"""How to reach a Docker engine, and what is said meanwhile."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class EngineUnavailableError(RuntimeError):
    """No Docker engine answers and none can be started here; the message says why."""


def say(message: str) -> None:
    """Tells what is being done; on standard error, which holds no answers."""
    sys.stderr.write(f"[docker] {message}\n")
    sys.stderr.flush()


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Tells how long the block took."""
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.1f} s")


@dataclass(frozen=True)
class Engine:
    """How to reach an engine: `environment` is what `docker` must see, on top of what it would see anyway."""

    environment: Mapping[str, str] = field(default_factory=dict)

    def docker(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the `docker` client; what it said is in the error when it fails."""
        done = subprocess.run(
            ["docker", *arguments],
            cwd=cwd,
            env={**os.environ, **self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"docker {shlex.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done

    def answers(self) -> bool:
        return self.docker("info", "--format", "{{.ServerVersion}}", check=False).returncode == 0
