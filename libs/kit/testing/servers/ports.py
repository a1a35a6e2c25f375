"""Ports for throw-away servers, which no other test process takes."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

LOOPBACK = "127.0.0.1"

_handed_out: set[int] = set()
_reservations: list[int] = []


def free_port() -> int:
    """Return a free loopback port.

    It lies below the range that the system gives to outgoing connections. A port from that range could be taken by
    any client while its server is down, even by the client that keeps trying to reach that very server.
    """
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = range(min(15_000, lowest_outgoing // 2), lowest_outgoing)
    while True:
        port = random.choice(candidates)  # noqa: S311 - no secret
        if port in _handed_out or not _reserve(port):
            continue
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((LOOPBACK, port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


def _reserve(port: int) -> bool:
    """Keep the port from other test processes of this user until this one ends. False when one of them has it.

    A server that is about to start, or that a test has stopped for a while, does not occupy its port.
    """
    if not _reservations:
        path = Path(tempfile.gettempdir()) / f"marquee-test-ports-{os.getuid()}"
        _reservations.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    try:
        fcntl.lockf(_reservations[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True
