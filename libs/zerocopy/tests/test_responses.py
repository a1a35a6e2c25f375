"""The bytes on the wire, in the right framing."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zerocopy import EXTENSION
from zerocopy.tests.support import Media, Running, body, request, start, until

MIB = 1 << 20


def test_the_extension_is_offered(server: Running) -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        await send(start())
        await send(body(",".join(scope["extensions"]).encode()))

    server.app = app
    with server.connect() as client:
        client.write(request())
        assert client.read_answer().body == EXTENSION.encode()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ranges=st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(0, 3 * MIB)), min_size=1, max_size=3))
def test_any_range_is_sent_exactly(server: Running, media: Media, ranges: list[tuple[int, int]]) -> None:
    server.app = media.app
    with server.connect() as client:
        for offset, wanted in ranges:
            count = min(wanted, len(media.content) - offset)
            media.sent.clear()
            client.write(request(f"/{offset}/{count}"))
            assert client.read_answer().body == media.content[offset : offset + count]
            until(partial(has_counted, media, count))


def has_counted(media: Media, count: int) -> bool:
    return sum(media.sent) == count


PIECES = st.lists(
    st.one_of(st.binary(max_size=2000), st.tuples(st.integers(0, 3_900_000), st.integers(0, MIB))), max_size=6
)


@pytest.mark.parametrize("framing", ["length", "chunks", "connection"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES, ends_with_part=st.booleans())
def test_any_mix_of_memory_and_file_is_one_body(
    server: Running, media: Media, pieces: list[Any], framing: str, *, ends_with_part: bool
) -> None:
    expected = b"".join(piece if isinstance(piece, bytes) else media.content[piece[0] : sum(piece)] for piece in pieces)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", str(len(expected)))) if framing == "length" else start())
        for piece in pieces:
            await send(body(piece, more_body=True) if isinstance(piece, bytes) else media.part(*piece, more_body=True))
        await send(media.part(0, 0) if ends_with_part else body())

    server.app = app
    with server.connect() as client:
        for _ in range(1 if framing == "connection" else 2):
            client.write(request(version="1.0" if framing == "connection" else "1.1"))
            answer = client.read_answer()
            assert answer.body == expected
            assert answer.headers.get("transfer-encoding") == ("chunked" if framing == "chunks" else None)


def test_a_last_part_in_chunks_ends_the_body(server: Running, media: Media) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start())
        await send(media.part(10, MIB))

    server.app = app
    with server.connect() as client:
        for _ in range(2):
            client.write(request())
            assert client.read_answer().body == media.content[10 : MIB + 10]


def test_a_head_request_gets_no_body(server: Running, media: Media) -> None:
    server.app = media.app
    with server.connect() as client:
        client.write(request("/0/5000000", method="HEAD") + request("/1/7"))
        head = client.read_answer("HEAD")
        assert (head.status, head.headers["content-length"]) == (200, "5000000")
        assert client.read_answer().body == media.content[1:8]
    until(lambda: media.sent == [7])


def test_http_1_0_ends_with_the_connection(server: Running, media: Media) -> None:
    server.app = media.app
    answer = server.ask(request("/5/1000000", version="1.0"))
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert content == media.content[5:1_000_005]


def test_connection_close_is_honoured(server: Running, media: Media) -> None:
    server.app = media.app
    with server.connect() as client:
        client.write(request("/0/300000", "Connection: close"))
        answer = client.read_answer()
        assert answer.headers["connection"] == "close"
        assert answer.body == media.content[:300_000]
        assert client.is_at_end()


def test_an_application_may_close(server: Running, media: Media) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("Connection", "Close"), ("Content-Length", "600000")))
        await send(media.part(0, 600_000))

    server.app = app
    with server.connect() as client:
        client.write(request())
        assert client.read_answer().body == media.content[:600_000]
        assert client.is_at_end()


def test_twenty_requests_at_once_are_answered_in_order(server: Running, media: Media) -> None:
    server.app = media.app
    ranges = [(number * 1000, number * number * 700) for number in range(20)]
    with server.connect() as client:
        client.write(b"".join(request(f"/{offset}/{count}") for offset, count in ranges))
        for offset, count in ranges:
            assert client.read_answer().body == media.content[offset : offset + count]


def test_a_thousand_requests_at_once_need_no_deep_stack(server: Running, media: Media) -> None:
    server.app = media.app
    with server.connect() as client:
        client.write(b"".join(request(f"/{number}/1") for number in range(1000)))
        for number in range(1000):
            assert client.read_answer().body == media.content[number : number + 1]


def test_a_request_may_have_a_body(server: Running, media: Media) -> None:
    received = bytearray()

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            received.extend(message["body"])
            more = message["more_body"]
        await send(start(("content-length", "9")))
        await send(media.part(0, 9))

    server.app = app
    upload = os.urandom(3 * MIB)
    with server.connect() as client:
        client.write(request("/", f"Content-Length: {len(upload)}", method="POST") + upload)
        assert client.read_answer().body == media.content[:9]
        client.write(request("/", "Content-Length: 3", "Expect: 100-continue", method="POST"))
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.write(b"end")
        assert client.read_answer().body == media.content[:9]
    assert received == upload + b"end"


@pytest.mark.parametrize("asked", [{}, {"offset": 100}, {"count": 50}, {"offset": 7, "count": 9}])
def test_offset_and_count_may_be_left_out(server: Running, media: Media, asked: dict[str, int]) -> None:
    position = 40
    offset = asked.get("offset", position)
    expected = media.content[offset : offset + asked.get("count", len(media.content))]
    positions = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        with media.path.open("rb", buffering=0) as file:
            file.seek(position)
            await send(start(("content-length", str(len(expected)))))
            await send({"type": EXTENSION, "file": file, **asked})
            positions.append(file.tell())

    server.app = app
    with server.connect() as client:
        client.write(request())
        assert client.read_answer().body == expected
        until(lambda: positions)
    assert positions == [position if "offset" in asked else position + len(expected)]


def test_beyond_two_and_four_gigabytes(server: Running, tmp_path: Path) -> None:
    media = Media(tmp_path / "large", b"")
    borders = [1 << 31, 1 << 32]
    with media.path.open("r+b") as file:
        for border in borders:
            file.seek(border - 4)
            file.write(f"<{border:>10}>"[:12].encode())
        file.truncate((1 << 32) + MIB)
    server.app = media.app
    with server.connect() as client:
        for border in borders:
            client.write(request(f"/{border - 300_000}/600000"))
            content = client.read_answer().body
            assert content[299_996:300_008] == f"<{border:>10}>".encode()
            assert not content[:299_996].strip(b"\0")
            assert not content[300_008:].strip(b"\0")
    media.close()


@pytest.mark.parametrize("promised", [99, 101])
def test_wrong_content_length_is_an_error_of_the_application(server: Running, media: Media, promised: int) -> None:
    errors: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", str(promised))))
        try:
            await send(media.part(0, 100))
        except RuntimeError as error:
            errors.append(str(error))
            raise

    server.app = app
    with server.connect() as client:
        client.write(request())
        assert client.read_answer().status == 500
    assert errors == [f"Response content {'longer' if promised < 100 else 'shorter'} than Content-Length"]


@pytest.mark.parametrize(
    "field", [("x-name", "a\r\nset-cookie: b"), ("x-name", "a\0"), ("x name", "a"), ("x-name\n", "a"), ("", "a")]
)
def test_fields_can_not_be_smuggled_in(server: Running, field: tuple[str, str]) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(field))
        await send(body())

    server.app = app
    with server.connect() as client:
        client.write(request())
        assert client.read_answer().status == 500


def test_the_order_of_messages_is_held(server: Running, media: Media) -> None:
    errors: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        async def refused(message: Any) -> None:
            with pytest.raises(RuntimeError) as caught:
                await send(message)
            errors.append(str(caught.value))

        await refused(media.part(0, 1))
        await send(start(("content-length", "2")))
        await refused({"type": "http.response.unknown"})
        await send(body(b"a", more_body=True))
        await refused(start())
        await send(media.part(0, 1))
        await refused(media.part(0, 1))

    server.app = app
    with server.connect() as client:
        client.write(request())
        assert client.read_answer().body == b"a" + media.content[:1]
        until(lambda: len(errors) == 4)
    assert [error.split("'")[1] for error in errors] == [
        "http.response.start",
        "http.response.body",
        "http.response.body",
        EXTENSION,
    ]


def test_a_start_may_be_replaced_until_something_follows_it(server: Running) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start(("content-length", "100"), status=200))
        await send(start(("content-length", "4"), status=503))
        await send(body(b"wait"))

    server.app = app
    with server.connect() as client:
        client.write(request())
        answer = client.read_answer()
        assert (answer.status, answer.body) == (503, b"wait")


def test_the_head_does_not_wait_for_an_application_that_waits_for_the_client(server: Running) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await receive()
        await receive()
        await send(body())

    server.app = app
    client = server.connect()
    client.write(request())
    assert client.read_head()[0] == 200
    # One that only sends no more would still get the rest.
    client.vanish()


@pytest.mark.parametrize("values", [{"offset": -1, "count": 1}, {"offset": 0, "count": -1}])
def test_negative_ranges_are_refused(server: Running, media: Media, values: dict[str, int]) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(start())
        await send({"type": EXTENSION, "file": media.fd, **values})

    server.app = app
    with server.connect() as client:
        client.write(request())
        assert client.read_answer().status == 500
