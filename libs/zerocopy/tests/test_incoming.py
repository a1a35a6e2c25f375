"""Which requests are accepted, how large they may be, and how long they may take."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from zerocopy import ZeroCopyProtocol
from zerocopy.incoming import LINGER_BYTES, MAX_HEAD_BYTES
from zerocopy.shared import RECEIVE_BYTES
from zerocopy.tests.support import Client, Running, body, request, serving, start, until


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the method, path and content of the request, and the names of its fields."""
    content = b""
    while True:
        message = await receive()
        content += message["body"]
        if not message["more_body"]:
            break
    names = b",".join(name for name, _ in scope["headers"])
    answer = b"%b %b [%b] %b" % (scope["method"].encode(), scope["path"].encode(), content, names)
    await send(start(("content-length", str(len(answer)))))
    await send(body(answer))


class Hasty(ZeroCopyProtocol):
    arrival_sec = 0.4


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


def flood(client: Client, block: bytes, count: int) -> bool:
    """Return whether the server took so many blocks."""
    try:
        for _ in range(count):
            client.write(block)
    except OSError:
        return False
    return True


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


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na",
        request("/", "Connection: Upgrade", "Upgrade: x", "Content-Length: 3", method="POST"),
    ],
)
def test_request_that_does_not_arrive_is_given_up(sent: bytes) -> None:
    received_types: list[str] = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        received_types.append(message["type"])

    with serving(app, Hasty) as server, server.connect() as client:
        client.write(sent)
        assert client.is_at_end()
        if b"POST" in sent:
            until(lambda: received_types == ["http.disconnect"])
        until(lambda: not server.connections())


def test_drip_of_head_bytes_is_no_progress() -> None:
    with serving(echo, Hasty) as server, server.connect() as client:
        client.write(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(0.05) and flood(client, b"a", 1):
                pass

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert client.read_all() == b""
        ended.set()
        dripping.join()


def test_slow_content_and_slow_applications_are_waited_for() -> None:
    gate = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(gate.wait)
        await echo(scope, receive, send)

    with serving(app, Hasty) as server:
        # One application that is slow to ask, one whose answer takes long, and a client that waits for leave to send.
        posted = request("/", "Content-Length: 200000", method="POST") + b"x" * 150_000
        waiting = request("/", "Content-Length: 3", "Expect: 100-continue", method="POST")
        with server.connect() as early, server.connect() as whole, server.connect() as polite:
            early.write(posted)
            whole.write(request("/whole"))
            polite.write(waiting)
            until(lambda: len(server.connections()) == 3)
            looks = [0]
            shared = server.connections()[0]._shared.arrivals
            look = shared._check_all

            def counting() -> None:
                looks[0] += 1
                look()

            shared._check_all = counting  # type: ignore[method-assign]
            until(lambda: looks[0] > 10)
            assert len(server.connections()) == 3
            gate.set()
            early.write(b"x" * 50_000)
            assert early.read_answer().status == 200
            assert whole.read_answer().status == 200
            assert polite.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            polite.write(b"abc")
            assert polite.read_answer().body.startswith(b"POST / [abc]")


def test_sweep_ends_when_there_is_nothing_to_look_at() -> None:
    with serving(echo, Hasty) as server, server.connect() as client:
        client.write(request())
        assert client.read_answer().status == 200
        (connection,) = server.connections()
        until(lambda: connection._shared.arrivals._next_check is None)
        assert connection._shared.arrivals._connections == set()


@pytest.mark.parametrize("requests", [1, 2])
@pytest.mark.parametrize("when", ["with the request", "later"])
def test_client_that_sends_no_more_gets_its_whole_answer(server: Running, when: str, requests: int) -> None:
    gate = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(gate.wait)
        await send(start())
        for _ in range(3):
            await asyncio.sleep(0)
            await send(body(b"x" * 100_000, more_body=True))
        await send(body())

    server.app = app
    with server.connect() as client:
        client.write(request() * requests)
        if when == "later":
            until(lambda: any(each._running for each in server.connections()))
        client.sock.shutdown(socket.SHUT_WR)
        if requests == 1:
            # Behind two, reading pauses, and the end is noticed later.
            until(lambda: any(each._is_half_closed for each in server.connections()))
        gate.set()
        for _ in range(requests):
            assert client.read_answer().body == b"x" * 300_000
        assert client.is_at_end()


@pytest.mark.parametrize("rest", [request("/2")[:-2], request("/2", "Content-Length: 5", method="POST") + b"ab"])
def test_half_request_before_close_does_not_affect_the_complete_one(server: Running, rest: bytes) -> None:
    gate = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(gate.wait)
        await echo(scope, receive, send)

    server.app = app
    with server.connect() as client:
        client.write(request("/1") + rest)
        client.sock.shutdown(socket.SHUT_WR)
        gate.set()
        assert client.read_answer().body == b"GET /1 [] host"
        assert client.is_at_end()


def test_half_request_before_close_is_dropped(server: Running) -> None:
    received_types: list[str] = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        received_types.append(message["type"])

    server.app = app
    with server.connect() as client:
        client.write(request("/", "Content-Length: 5", method="POST") + b"ab")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.is_at_end()
    until(lambda: received_types == ["http.disconnect"])


def test_application_waiting_for_half_closed_client_gets_disconnect_in_the_end() -> None:
    received_types: list[str] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"event", more_body=True))
        while (message := await receive())["type"] != "http.disconnect":
            pass
        received_types.append(message["type"])

    with serving(app, Hasty) as server, server.connect() as client:
        client.write(request())
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_until(b"event").endswith(b"event")
        until(lambda: received_types == ["http.disconnect"])


def test_refused_client_that_sends_on_can_read_why() -> None:
    with serving(echo, Hasty) as server, server.connect() as client:
        client.write(b"GET / HTTP/1.1\r\n\r\n")
        until(lambda: [each.lingers_until is not None for each in server.connections()] == [True])
        flood(client, b"x" * 1000, 100)
        assert client.read_answer().status == 400
        assert client.is_at_end()
        # Not for ever, though.
        until(lambda: not server.connections())


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
