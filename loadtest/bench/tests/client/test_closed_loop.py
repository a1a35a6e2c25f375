from __future__ import annotations

import os
import socket
import threading

import pytest

from loadtest.bench.client.closed_loop import run
from loadtest.bench.client.jobs import ClosedLoop, Target, Throughput
from loadtest.bench.tests.serving import Respond, right, serving


def measure(target: Target, *, range_bytes: int | None = 10_000, connections: int = 3) -> Throughput:
    return run(
        ClosedLoop(
            target=target,
            range_bytes=range_bytes,
            connections=connections,
            warm_up_sec=0.05,
            seconds=0.3,
            server_pids=[os.getpid()],
            seed=1,
        )
    )


def test_whole_answers_are_counted_to_the_byte() -> None:
    with serving() as target:
        result = measure(target)
    assert result.errors == 0
    assert result.responses > 0
    # At either end of the window three answers may be cut in two.
    assert abs(result.bytes - result.responses * 10_000) <= 3 * 10_000
    assert result.first_byte.samples >= result.responses - 3
    assert result.seconds >= 0.3


def test_open_ranges_end_with_the_file() -> None:
    with serving() as target:
        result = measure(target, range_bytes=None, connections=1)
    assert result.errors == 0
    assert result.bytes > 0


def wrong_status(connection: socket.socket, first: int, last: int) -> None:
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {last - first + 1}\r\n\r\n".encode())


def wrong_length(connection: socket.socket, first: int, last: int) -> None:
    right(connection, first, last + 1)


def too_much(connection: socket.socket, first: int, last: int) -> None:
    header = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {last - first + 1}\r\n\r\n"
    connection.sendall(header.encode() + bytes(last - first + 2))


def too_little(connection: socket.socket, first: int, last: int) -> None:
    header = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {last - first + 1}\r\n\r\n"
    connection.sendall(header.encode() + bytes(last - first))
    connection.shutdown(socket.SHUT_WR)


def hang_up(connection: socket.socket, first: int, last: int) -> None:
    del first, last
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("respond", "complaint"),
    [
        (wrong_status, "status 200"),
        (wrong_length, "11 bytes instead of 206 with 10"),
        (too_much, "1 bytes more than promised"),
        (too_little, "1 bytes too early"),
        (hang_up, "before an answer"),
    ],
)
def test_wrong_answers_are_errors_and_no_responses(respond: Respond, complaint: str) -> None:
    with serving(respond) as target:
        result = measure(target, range_bytes=10)
    assert result.errors > 0
    assert result.responses == 0
    assert complaint in result.first_error


def test_a_header_in_pieces_is_put_together() -> None:
    def in_pieces(connection: socket.socket, first: int, last: int) -> None:
        for byte in f"HTTP/1.1 206 Partial Content\r\nContent-Length: {last - first + 1}\r\n\r\n":
            connection.sendall(byte.encode())
        connection.sendall(bytes(last - first + 1))

    with serving(in_pieces) as target:
        result = measure(target, connections=1)
    assert result.errors == 0
    assert result.responses > 0


def test_a_server_that_never_answers_does_not_hold_the_client() -> None:
    released = threading.Event()
    with serving(lambda *_: released.wait()) as target:  # type: ignore[arg-type]
        result = measure(target)
        released.set()
    assert (result.responses, result.bytes, result.first_byte.p99_ms) == (0, 0, None)


def test_server_that_does_not_listen_is_an_error() -> None:
    with serving() as target:
        pass
    with pytest.raises(OSError, match="refused"):
        measure(target)
