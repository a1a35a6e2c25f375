"""Starts `a_service` in a process of its own and talks to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEADLINE_SEC = 60.0
SIZE = 30_000_000
REQUEST = "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"


def until(condition: Callable[[], Any]) -> None:
    """Waits for what another process brings about."""
    deadline = time.monotonic() + DEADLINE_SEC
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


class Running:
    """A process that serves."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path, content: bytes) -> None:
        self.process = process
        self.port = port
        self.content = content
        self._log = log

    def log(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def raw_log(self) -> str:
        """The same as text, with what is no JSON."""
        return self._log.read_text()

    def actions(self) -> list[str]:
        """What it has logged, in short."""
        return [entry["action"] for entry in self.log()]

    def is_listening(self) -> bool:
        """Whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def connect(self, path: str, receive_bytes: int | None = None) -> socket.socket:
        """A connection that has asked for something."""
        sock = socket.socket()
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.settimeout(DEADLINE_SEC)
        sock.connect(("127.0.0.1", self.port))
        sock.sendall(REQUEST.format(path=path).encode())
        return sock

    def get(self, path: str) -> http.client.HTTPResponse:
        """An answer to a request on a new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SEC)
        connection.request("GET", path)
        return connection.getresponse()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def ends(self) -> int:
        """Waits for the end, and answers the exit status."""
        return self.process.wait(DEADLINE_SEC)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the connection ends, however it ends."""
    parts = []
    with sock:
        try:
            while part := sock.recv(1 << 20):
                parts.append(part)
        except ConnectionResetError:
            pass
    return b"".join(parts)


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def children(pid: int) -> set[int]:
    """The processes that a process has started and that are alive."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return {int(child) for child in listed.split() if is_alive(int(child))}


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[Running]:
    """Runs the service; whatever is left of it at the end is killed."""
    file = folder / "file"
    content = os.urandom(1000) * (SIZE // 1000)
    file.write_bytes(content)
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "MARQUEE_HTTP_PORT": str(port),
        "MARQUEE_GRPC_BIND": f"unix:{folder}/rpc",
        "MARQUEE_FILE": str(file),
        **{f"MARQUEE_{name.upper()}": value for name, value in settings.items()},
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kit.tests.a_service", "serve"], env=environment, stderr=output
        )
    running = Running(process, port, log, content)
    try:
        until(lambda: "service_started" in running.actions() or process.poll() is not None)
        yield running
    finally:
        workers = children(process.pid) if process.poll() is None else set()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
