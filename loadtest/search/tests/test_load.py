"""The client that asks prepared requests."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from loadtest.search.load import UnexpectedResponseError, get, run

_GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@contextmanager
def answering(response: bytes) -> Iterator[int]:
    """Answer every request alike; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, response), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, response: bytes) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, response), daemon=True).start()


def _serve(connection: socket.socket, response: bytes) -> None:
    with connection, suppress(OSError):
        while connection.recv(65536):
            # In two pieces: the client must put them together.
            connection.sendall(response[:30])
            connection.sendall(response[30:])


def test_times_what_is_answered() -> None:
    with answering(_GOOD) as port:
        timing = run(
            port, [get("/a"), get("/b", "Bearer x")], connections=2, warm_up=4, seconds=0.05, server=os.getpid()
        )
    assert timing.requests >= 2
    assert 0 < timing.p50_ms <= timing.p99_ms
    assert timing.database_ms == 0


def test_refuses_any_other_answer() -> None:
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with answering(refusal) as port, pytest.raises(UnexpectedResponseError, match="404"):
        run(port, [get("/a")], connections=1, warm_up=1, seconds=0.01, server=os.getpid())
