"""Send prepared requests over some connections, each as soon as the one before is answered."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from loadtest.bench.procfs import tree
from loadtest.bench.stats import percentile
from loadtest.search.results import Timing

_RECEIVE_BYTES = 1 << 20
_OK = b"HTTP/1.1 200 "


class UnexpectedResponseError(Exception):
    """A response that is none of success."""


class _Line:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._received = b""
        self.asked_at = 0.0

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, request: bytes) -> None:
        self._received = b""
        self.asked_at = time.perf_counter()
        self._socket.send(request)

    def is_answered(self) -> bool:
        """Receive what is there. Raises UnexpectedResponseError for anything but a 200 with a length."""
        block = self._socket.recv(_RECEIVE_BYTES)
        if not block:
            raise UnexpectedResponseError("the connection was closed")
        self._received += block
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank:
            return False
        if not head.startswith(_OK):
            raise UnexpectedResponseError(self._received.decode(errors="replace")[:500])
        length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        return len(body) >= int(length)

    def close(self) -> None:
        self._socket.close()


def get(path: str, authorization: str = "") -> bytes:
    """Return a GET request."""
    fields = f"Authorization: {authorization}\r\n" if authorization else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()


def run(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    warm_up: int,
    seconds: float,
    server: int,
    database: int | None = None,
) -> Timing:
    """Send the requests in turn, again and again; return what those took that were asked within `seconds`.

    Args:
        port: of the server, on the loopback.
        requests: as `get` returns them.
        connections: how many are in flight.
        warm_up: requests before any is timed.
        seconds: of the measured window.
        server: the process of the server.
        database: that of PostgreSQL; None without one.

    Raises:
        UnexpectedResponseError: a response is no 200.
    """
    lines = [_Line(port) for _ in range(connections)]
    try:
        following = itertools.cycle(requests)
        _pump(lines, following, until=None, count=warm_up)
        own, of_server, of_database = time.process_time(), _cpu_sec(server), _cpu_sec(database)
        started = time.perf_counter()
        waited = _pump(lines, following, until=started + seconds, count=None)
        spent = time.perf_counter() - started
        count = len(waited)
        ordered = sorted(waited)
        return Timing(
            requests=count,
            per_sec=count / spent,
            p50_ms=1000 * percentile(ordered, 0.5),
            p99_ms=1000 * percentile(ordered, 0.99),
            server_ms=1000 * (_cpu_sec(server) - of_server) / count,
            database_ms=1000 * (_cpu_sec(database) - of_database) / count,
            client_share=(time.process_time() - own) / spent,
        )
    finally:
        for line in lines:
            line.close()


def _cpu_sec(pid: int | None) -> float:
    """Return the processor time of a process and its descendants, ended ones included (proc(5), `stat`, 14 to 17)."""
    ticks = 0
    for each in tree(pid) if pid else ():
        with contextlib.suppress(FileNotFoundError):
            fields = Path(f"/proc/{each}/stat").read_bytes().rpartition(b")")[2].split()
            ticks += sum(map(int, fields[11 : 15 if each == pid else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _pump(
    lines: Sequence[_Line], following: itertools.cycle[bytes], *, until: float | None, count: int | None
) -> list[float]:
    """Ask until a time or a number of requests; return how long each took, the last ones included."""
    waited: list[float] = []
    poller = select.epoll()
    by_number = {line.fileno(): line for line in lines}
    for line in lines:
        poller.register(line.fileno(), select.EPOLLIN)
        line.ask(next(following))
    in_flight = len(lines)
    asked = in_flight
    while in_flight:
        for number, _ in poller.poll():
            line = by_number[number]
            if not line.is_answered():
                continue
            now = time.perf_counter()
            waited.append(now - line.asked_at)
            if (until is not None and now < until) or (count is not None and asked < count):
                line.ask(next(following))
                asked += 1
            else:
                in_flight -= 1
    poller.close()
    return waited
