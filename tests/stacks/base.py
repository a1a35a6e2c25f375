"""What the black-box suite needs of a running Marquee, however it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx

ADMIN_LOGIN = "admin"
ADMIN_PASSWORD = "correct horse battery"
REPOSITORY = Path(__file__).parents[2]
UNLIMITED = {"MARQUEE_RATE_LIMIT_PER_MIN": "900000", "MARQUEE_USER_RATE_LIMIT_PER_MIN": "900000"}
"""All clients of a test come from one address, and ask more in a minute than a household in an hour."""

LONG_LOGIN = {"MARQUEE_ACCESS_TTL_SEC": "7200"}
"""A module's client logs in once, and may live longer than 15 minutes on a busy machine."""


class Stack(ABC):
    """A whole Marquee behind one address."""

    name: str
    base_url: str

    @abstractmethod
    def start(self) -> None:
        """Starts it and waits until it is healthy."""

    @abstractmethod
    def stop(self) -> None:
        """Stops everything that was started."""

    def wait_healthy(self, limit_sec: float = 180) -> None:
        """Waits until every service says it is healthy."""

        def healthy() -> bool:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                return bool(httpx.get(f"{self.base_url}/api/health", timeout=30).json().get("status") == "healthy")
            return False

        def lets_viewers_in() -> bool:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                url = f"{self.base_url}/api/admin/streams/metrics"
                metrics = httpx.get(url, auth=(ADMIN_LOGIN, ADMIN_PASSWORD), timeout=30).json()
                return bool(metrics.get("opens_in_sec") == 0)
            return False

        wait_for(healthy, limit_sec, f"{self.name} to be healthy")
        wait_for(lets_viewers_in, limit_sec, f"{self.name} to grant play sessions")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Process:
    """One process of a stack: its output goes to a file, and it can be killed and started again."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; it must be running."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env={**_clean_environment(), **self._environment},
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def variant(self, last_argument: str) -> Process:
        """The same program in the same surroundings with another last argument."""
        return Process(self.name, [*self._command[:-1], last_argument], self._environment, self.log)

    def wait(self, limit_sec: float) -> int:
        """Waits until it ends by itself; answers its exit status."""
        assert self._process is not None
        return self._process.wait(limit_sec)

    def kill(self) -> None:
        """Ends it as a power cut would, with all its children."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self, limit_sec: float = 30) -> int:
        """Ends it as an operator would; answers its exit status."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self.wait(limit_sec)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def peak_memory(self) -> int:
        """The most memory it has used since `forget_peak`, in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def forget_peak(self) -> None:
        """Starts measuring `peak_memory` anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MARQUEE_")}


def wait_for(condition: Callable[[], bool], limit_sec: float, what: str) -> None:
    """Looks again and again until something holds; fails with its name when it does not in time."""
    deadline = time.monotonic() + limit_sec
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {limit_sec:.0f} s in vain for {what}")
        time.sleep(0.05)
