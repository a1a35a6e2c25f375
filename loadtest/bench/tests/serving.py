"""A small server for tests of the client: it answers ranges correctly, or as wrongly as a test wants."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from loadtest.bench.client.jobs import Target

FILE_BYTES = 4 << 20
Respond = Callable[[socket.socket, int, int], None]


def right(connection: socket.socket, first: int, last: int) -> None:
    """Answer as a correct server does."""
    header = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {last - first + 1}\r\n\r\n"
    connection.sendall(header.encode() + bytes(last - first + 1))


@contextmanager
def serving(respond: Respond = right) -> Iterator[Target]:
    """Serve a file of zeros, with a thread for each connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        threading.Thread(target=_accept, args=(listener, respond), daemon=True).start()
        yield Target(port=listener.getsockname()[1], path="/film.mp4", file_bytes=FILE_BYTES)
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, respond: Respond) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, respond), daemon=True).start()


def _serve(connection: socket.socket, respond: Respond) -> None:
    with connection, connection.makefile("rb") as lines, suppress(OSError):
        for line in lines:
            if asked := re.match(rb"Range: bytes=(\d+)-(\d*)", line):
                lines.readline()
                respond(connection, int(asked[1]), int(asked[2] or FILE_BYTES - 1))
