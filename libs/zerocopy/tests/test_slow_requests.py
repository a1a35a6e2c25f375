"""How long a request may take to arrive."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from zerocopy.tests.support import Hasty, echo, flood, request, serving, until


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
