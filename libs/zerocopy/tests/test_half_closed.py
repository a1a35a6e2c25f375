"""What clients get that send no more, or are refused and send on."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from zerocopy.tests.support import Hasty, Running, body, echo, flood, request, serving, start, until


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
