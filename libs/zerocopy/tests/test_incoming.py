"""Which requests are accepted, and how large they may be."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from zerocopy.incoming import LINGER_BYTES, MAX_HEAD_BYTES
from zerocopy.shared import RECEIVE_BYTES
from zerocopy.tests.support import Client, Running, echo, flood, request, serving, until


def upgrade(*headers: str, content: bytes = b"", method: str = "POST") -> bytes:
    """Return a request that offers another protocol."""
    offered = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    return request("/offer", *offered, *headers, method=method) + content


@pytest.mark.parametrize("pieces", ["at once", "by byte"])
def test_content_of_request_with_refused_upgrade_is_read(server: Running, pieces: str) -> None:
    server.app = echo
    inner = request("/inner")
    sent = upgrade(f"Content-Length: {len(inner)}", content=inner) + request("/next") + upgrade(method="GET")
    chunked = upgrade("Transfer-Encoding: chunked", content=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    sent += chunked + request("/last")
    with server.connect() as client:
        for piece in [sent] if pieces == "at once" else [bytes([byte]) for byte in sent]:
            client.write(piece)
        client.sock.shutdown(socket.SHUT_WR)
        names = b"host,connection,http2-settings,"
        assert client.read_answer().body == b"POST /offer [" + inner + b"] " + names + b"content-length"
        assert client.read_answer().body == b"GET /next [] host"
        assert client.read_answer().body == b"GET /offer [] " + names[:-1]
        assert client.read_answer().body == b"POST /offer [abcde] " + names + b"transfer-encoding"
        assert client.read_answer().body == b"GET /last [] host"
        assert client.is_at_end()


def test_refused_upgrade_leaves_connection_open_for_next_request(server: Running) -> None:
    server.app = echo
    with server.connect() as client:
        for _ in range(3):
            client.write(upgrade("Content-Length: 2"))
            client.write(b"ab")
            assert client.read_answer().body.startswith(b"POST /offer [ab]")
        client.write(b"GET /old HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        assert client.read_answer().body == b"GET /old [] connection"
        assert client.is_at_end()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([], 400),
        (["Host: a", "Host: a"], 400),
        (["Host: a", "HOST: b"], 400),
        (["Host: a b"], 400),
        (["Host: a/b"], 400),
        (["Host: user@a"], 400),
        (["Host: a"], 200),
        (["Host: a.example:8080"], 200),
        (["Host: [::1]:80"], 200),
        (["Host:"], 200),
    ],
)
def test_request_needs_exactly_one_valid_host(server: Running, fields: list[str], status: int) -> None:
    server.app = echo
    with server.connect() as client:
        client.write("\r\n".join(["GET / HTTP/1.1", *fields, "", ""]).encode())
        answer = client.read_answer()
        assert answer.status == status
        if status == 400:
            assert answer.headers["connection"] == "close"
            assert client.is_at_end()


@pytest.mark.parametrize(("fields", "status"), [("", 200), ("Host: a\r\nHost: a\r\n", 400)])
def test_older_client_may_leave_host_out_but_not_double_it(server: Running, fields: str, status: int) -> None:
    server.app = echo
    with server.connect() as client:
        client.write(f"GET / HTTP/1.0\r\n{fields}\r\n".encode())
        assert client.read_answer().status == status


def test_bad_host_is_refused_after_answers_to_requests_before_it(server: Running) -> None:
    server.app = echo
    with server.connect() as client:
        client.write(request("/1") + request("/2") + b"GET /3 HTTP/1.1\r\n\r\n" + request("/4"))
        assert client.read_answer().body == b"GET /1 [] host"
        assert client.read_answer().body == b"GET /2 [] host"
        assert client.read_answer().status == 400
        assert client.is_at_end()


def test_connect_is_refused(server: Running) -> None:
    server.app = echo
    with server.connect() as client:
        client.write(b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n" + request("/inner"))
        assert client.read_answer().status == 501
        assert client.is_at_end()


def head_of(size: int, *, fields: int) -> bytes:
    """Return a whole head of exactly so many bytes."""
    lines = [b"GET / HTTP/1.1\r\nHost: a\r\n"]
    lines += [b"x-%05d: %b\r\n" % (number, b"v" * 40) for number in range(fields)]
    rest = size - sum(map(len, lines)) - len(b"x: \r\n\r\n")
    return b"".join(lines) + b"x: " + b"v" * rest + b"\r\n\r\n"


@pytest.mark.parametrize("fields", [0, 1000])
@pytest.mark.parametrize("piece", [1 << 20, 1000])
def test_head_may_have_64_kib_and_no_more(server: Running, fields: int, piece: int) -> None:
    server.app = echo
    for size, status in ((MAX_HEAD_BYTES, 200), (MAX_HEAD_BYTES + 1, 431)):
        with server.connect() as client:
            head = head_of(size, fields=fields)
            for at in range(0, size, piece):
                client.write(head[at : at + piece])
            answer = client.read_answer()
            assert answer.status == status
            if status == 431:
                assert answer.headers["connection"] == "close"
                assert client.is_at_end()


def test_target_counts_to_the_head(server: Running) -> None:
    server.app = echo
    with server.connect() as client:
        client.write(request("/" + "a" * MAX_HEAD_BYTES))
        assert client.read_answer().status == 431


@pytest.mark.parametrize(
    ("begin", "block"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"x: " + b"a" * 60 + b"\r\n"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nx: ", b"a" * 64),
        (b"GET /", b"a" * 64),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
            b"x: " + b"a" * 60 + b"\r\n",
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=", b"a" * 64),
    ],
)
def test_endless_head_is_refused_and_not_kept(server: Running, begin: bytes, block: bytes) -> None:
    server.app = echo
    with server.connect() as client:
        client.write(begin)
        flood(client, block * 64, 200)
        for connection in server.connections():
            # What came in one piece is looked at when the parser has had all of it.
            kept = sum(len(name) + len(value) for name, value in connection.headers or [])
            assert kept <= MAX_HEAD_BYTES + RECEIVE_BYTES
        assert client.read_answer().status == 431
    until(lambda: not server.connections())


def test_refused_client_that_goes_on_sending_is_cut_off(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerocopy.incoming.LINGER_SEC", 600.0)
    server.app = echo
    with server.connect() as client:
        client.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
        assert not flood(client, b"x: " + b"a" * 65_000 + b"\r\n", 2 * LINGER_BYTES // 65_000 + 1000)
    until(lambda: not server.connections())


def test_trailers_are_no_fields_of_the_request(server: Running) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        seen.extend(name for name, _ in scope["headers"])

    server.app = app
    with server.connect() as client:
        client.write(request("/", "Transfer-Encoding: chunked", method="POST"))
        client.write(b"1\r\na\r\n0\r\nAuthorization: x\r\n\r\n")
        assert client.read_answer().body == b"POST / [a] host,transfer-encoding"
        until(lambda: seen)
        assert seen == [b"host", b"transfer-encoding"]


def test_ipv4_client_of_a_socket_of_both_has_its_own_address() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])
        await echo(scope, receive, send)

    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    port = listener.getsockname()[1]
    with serving(app, listener=listener):
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            sock = socket.socket(family)
            sock.connect((address, port))
            with Client(sock) as client:
                client.write(request())
                assert client.read_answer().status == 200
    assert seen == ["127.0.0.1", "::1"]
