"""Clients that are slow, send garbage, or close one or both sides."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
from typing import Any

import pytest

from zerocopy import ZeroCopyProtocol
from zerocopy.cycle import ZeroCopyCycle
from zerocopy.segment import BLOCK_BYTES, SendSegment
from zerocopy.sender import SLOW_UNSENT_BYTES, Sender
from zerocopy.tests.support import Client, Media, Running, body, request, serving, start, until

COUNT = 5_000_000
REQUEST = request(f"/0/{COUNT}")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Yield the sizes that `sendfile` was called with."""
    made: list[int] = []
    sendfile = os.sendfile

    def counting(out: int, file: int, offset: int, count: int) -> int:
        made.append(count)
        return sendfile(out, file, offset, count)

    monkeypatch.setattr(os, "sendfile", counting)
    return made


def is_waiting(server: Running) -> bool:
    """Return whether a part of a file waits for its client."""
    return any(connection.is_sending for connection in server.connections())


def is_quiet(server: Running, calls: list[int]) -> bool:
    """Return whether many turns of the loop pass without anything being sent."""
    before = len(calls)
    for _ in range(50):
        server.call(lambda: None)
    return before > 0 and len(calls) == before


def behind(server: Running) -> Client:
    """Yield a client that has requested everything and read nothing."""
    client = server.connect(receive_bytes=4096)
    client.write(REQUEST)
    until(lambda: is_waiting(server))
    return client


def test_a_slow_reader_costs_neither_turns_nor_memory(server: Running, media: Media, calls: list[int]) -> None:
    server.app = media.app
    with behind(server) as client:
        until(lambda: is_quiet(server, calls))
        before = len(calls)
        for _ in range(20):
            client.sock.recv(1)
            assert is_quiet(server, calls)
        assert len(calls) - before <= 2
        assert [connection.transport.get_write_buffer_size() for connection in server.connections()] == [0]
        assert max(calls) <= BLOCK_BYTES
        assert sum(media.sent) < COUNT


def test_a_slow_reader_gets_everything(server: Running, media: Media) -> None:
    server.app = media.app
    with behind(server) as client:
        assert client.read_answer().body == media.content[:COUNT]
        until(lambda: media.outcomes == ["whole"])
        assert sum(media.sent) == COUNT


def test_a_fast_reader_gets_a_block_a_turn(server: Running, media: Media, calls: list[int]) -> None:
    server.app = media.app
    with server.connect(receive_bytes=8 << 20) as client:
        client.write(REQUEST)
        assert client.read_answer().body == media.content[:COUNT]
    assert len(calls) >= COUNT / BLOCK_BYTES


@pytest.mark.parametrize("vanishes", [True, False])
def test_a_client_that_leaves_ends_the_work(server: Running, media: Media, calls: list[int], *, vanishes: bool) -> None:
    server.app = media.app
    client = behind(server)
    client.read(10_000)
    if vanishes:
        client.vanish()
    else:
        client.sock.close()
    until(lambda: media.outcomes == ["left"])
    assert 0 < sum(media.sent) < COUNT
    assert is_quiet(server, calls)


def test_sending_to_disconnected_client_is_no_error(server: Running, media: Media) -> None:
    received_types: list[str] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        for _ in range(3):
            await send(media.part(0, COUNT, more_body=True))
        await send(body())
        received_types.append((await receive())["type"])

    server.app = app
    behind(server).vanish()
    until(lambda: received_types == ["http.disconnect"])
    assert sum(media.sent) < COUNT


def test_a_pipelining_client_that_leaves_is_noticed(server: Running, media: Media) -> None:
    server.app = media.app
    client = server.connect(receive_bytes=4096)
    client.write(REQUEST * 3)
    until(lambda: is_waiting(server))
    client.vanish()
    until(lambda: media.outcomes == ["left"])


def test_client_that_closes_its_side_first_gets_its_answer(server: Running, media: Media) -> None:
    server.app = media.app
    with behind(server) as client:
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_answer().body == media.content[:COUNT]
        assert client.is_at_end()


def test_client_that_pipelines_and_closes_its_side_gets_all_answers(server: Running, media: Media) -> None:
    server.app = media.app
    with behind(server) as client:
        client.write(request("/7/3") + REQUEST)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_answer().body == media.content[:COUNT]
        assert client.read_answer().body == media.content[7:10]
        assert client.read_answer().body == media.content[:COUNT]
        assert client.is_at_end()


def test_a_request_during_a_response_is_answered_after_it(server: Running, media: Media) -> None:
    server.app = media.app
    with behind(server) as client:
        for byte in request("/7/3") + request("/1/2"):
            client.write(bytes([byte]))
        assert client.read_answer().body == media.content[:COUNT]
        assert client.read_answer().body == media.content[7:10]
        assert client.read_answer().body == media.content[1:3]


@pytest.mark.parametrize("when", ["with the request", "during the response", "while it is in memory"])
def test_nonsense_is_refused_after_the_response(server: Running, media: Media, when: str) -> None:
    asked = threading.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", str(COUNT))))
        await send(body(media.content[:1000], more_body=True))
        if when == "while it is in memory":
            await asyncio.to_thread(asked.wait)
        await send(media.part(1000, COUNT - 1000))

    server.app = app
    with server.connect(receive_bytes=4096) as client:
        client.write(REQUEST + (b"\0 nonsense \r\n\r\n" if when == "with the request" else b""))
        if when == "during the response":
            until(lambda: is_waiting(server))
        client.write(b"more \0 nonsense \r\n\r\n")
        if when == "while it is in memory":
            until(lambda: any(connection._refusal for connection in server.connections()))
        asked.set()
        assert client.read_answer().body == media.content[:COUNT]
        assert client.read_answer().status == 400
        assert client.is_at_end()


def test_a_body_that_is_nonsense_is_refused_at_once(server: Running) -> None:
    received_types: list[str] = []

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        received_types.append(message["type"])

    server.app = app
    with server.connect() as client:
        client.write(request("/", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\nnonsense\r\n")
        assert client.read_answer().status == 400
        assert client.is_at_end()
    until(lambda: received_types == ["http.disconnect"])


def test_what_a_client_sends_meanwhile_does_not_pile_up(server: Running, media: Media) -> None:
    server.app = media.app
    with behind(server) as client:
        client.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.write(b"x" * 50_000_000)
        (connection,) = server.connections()
        assert len(connection._held) <= 256 * 1024


def test_an_idle_connection_ends_after_its_time(media: Media) -> None:
    with serving(media.app, timeout_keep_alive=3) as server, server.connect(receive_bytes=4096) as client:
        for _ in range(2):
            client.write(request("/1/2"))
            assert client.read_answer().body == media.content[1:3]
        client.write(REQUEST)
        until(lambda: is_waiting(server))
        (connection,) = server.connections()
        server.call(connection.timeout_keep_alive_handler)
        assert client.read_answer().body == media.content[:COUNT]
        # Nor is a request that has begun to come idleness.
        client.write(b"GET /1/2 HTTP/1.1\r\nHost: test\r\n")
        until(lambda: connection._idle_since is None)
        server.call(connection.timeout_keep_alive_handler)
        client.write(b"\r\n")
        assert client.read_answer().body == media.content[1:3]
        assert client.is_at_end()


@pytest.mark.parametrize("resident", [True, False])
def test_client_that_reads_nothing_is_disconnected(
    media: Media, monkeypatch: pytest.MonkeyPatch, residency: Any, *, resident: bool
) -> None:
    class Impatient(ZeroCopyProtocol):
        stall_sec = 0.2

    monkeypatch.setattr("zerocopy.slow.CHECK_SEC", 0.05)
    residency.resident = lambda _offset: resident
    media.residency = residency
    with serving(media.app, Impatient) as server, behind(server) as slow, server.connect() as fast:
        until(lambda: media.outcomes == ["left"])
        fast.write(request("/1/2"))
        assert fast.read_answer().body == media.content[1:3]
        assert len(slow.read_all()) < COUNT
        (shared,) = {connection._shared for connection in server.connections()}
        until(lambda: not shared.slow._transfers)
        until(lambda: shared.slow._next_check is None)


def test_the_kernel_holds_less_for_a_slow_reader(
    server: Running, media: Media, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not slow until the test says so, however long it takes to begin.
    monkeypatch.setattr("zerocopy.slow.SLOW_SEC", 3600.0)
    server.app = media.app
    with behind(server) as client:
        (connection,) = server.connections()
        sock = connection.transport.get_extra_info("socket")
        until(lambda: is_quiet(server, calls))
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) != SLOW_UNSENT_BYTES
        monkeypatch.setattr("zerocopy.slow.SLOW_SEC", 0.0)
        for _ in range(2):
            server.call(connection._shared.slow._check_all)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == SLOW_UNSENT_BYTES
        assert client.read_answer().body == media.content[:COUNT]


def test_a_patient_server_waits(media: Media) -> None:
    class Patient(ZeroCopyProtocol):
        stall_sec = None

    with serving(media.app, Patient) as server, behind(server) as client:
        (connection,) = server.connections()
        (transfer,) = connection._shared.slow._transfers
        transfer.moved_at -= 1_000_000
        server.call(connection._shared.slow._check_all)
        assert client.read_answer().body == media.content[:COUNT]


def test_ten_thousand_that_leave_leave_nothing_behind(server: Running, media: Media) -> None:
    server.app = media.app
    for number in range(10_000):
        client = server.connect(receive_bytes=4096)
        client.write(REQUEST)
        if number % 3:
            client.sock.recv(1)
        if number % 2:
            client.vanish()
        else:
            client.sock.close()
        media.sent.clear()
    until(lambda: not server.connections())
    until(lambda: not server.server.server_state.tasks)
    until(lambda: not server.call(_kept))


def _kept() -> list[object]:
    """Return the objects of connections that are still referenced, except by the loop's current turn."""
    gc.collect()
    kept = (ZeroCopyProtocol, ZeroCopyCycle, Sender, SendSegment)
    return [found for found in gc.get_objects() if isinstance(found, kept)]


def test_a_cancelled_send_ends_the_connection(server: Running, media: Media) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", str(COUNT))))
        try:
            async with asyncio.timeout(0.1):
                await send(media.part(0, COUNT, more_body=True))
        except TimeoutError:
            media.outcomes.append("timeout")
            await send(body(b"this must not be seen"))

    server.app = app
    with behind(server) as client:
        until(lambda: media.outcomes == ["timeout"])
        received = client.read_all().partition(b"\r\n\r\n")[2]
    assert received == media.content[: len(received)]
    assert len(received) <= sum(media.sent) < COUNT


def test_two_parts_at_once_are_refused(server: Running, media: Media) -> None:
    errors: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", str(COUNT))))
        first = asyncio.ensure_future(send(media.part(0, COUNT - 20, more_body=True)))
        await asyncio.sleep(0)
        for message in (media.part(0, 10, more_body=True), body(b"0123456789", more_body=True)):
            try:
                await send(message)
            except RuntimeError as error:
                errors.append(str(error))
        await first
        await send(body(b"01234567890123456789"))

    server.app = app
    with server.connect(receive_bytes=4096) as client:
        client.write(REQUEST)
        assert client.read_answer().body == media.content[: COUNT - 20] + b"01234567890123456789"
    assert errors == ["A part of a file is still being sent."] * 2
