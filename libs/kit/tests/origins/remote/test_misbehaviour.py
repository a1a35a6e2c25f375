"""Origins whose answers never end, come by the byte or are no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from kit.origins import Guard, OriginClient, OriginError, OriginInterruptedError, OriginUnusableError, RemoteFile
from kit.origins import remote as module
from kit.origins.references import Url, parse_url
from kit.tests.origins.remote.support import read

Send = Callable[[bytes], Awaitable[None]]
PART = b'HTTP/1.1 206 Partial Content\r\nETag: "a"\r\nContent-Range: bytes 0-0/1000000\r\n'
CHUNKED = PART + b"Transfer-Encoding: chunked\r\n\r\n"


async def endless_body(send: Send) -> None:
    await send(CHUNKED)
    while True:
        await send(b"10000\r\n" + bytes(65536) + b"\r\n")


async def endless_body_byte_by_byte(send: Send) -> None:
    await send(CHUNKED)
    while True:
        await send(b"1\r\nx\r\n")
        await asyncio.sleep(0)


async def endless_chunk_extension(send: Send) -> None:
    await send(CHUNKED + b"1;")
    while True:
        await send(b"a" * 1000)


async def endless_fields(send: Send) -> None:
    await send(PART)
    while True:
        await send(b"X-More: " + b"a" * 1000 + b"\r\n")


async def endless_interim_responses(send: Send) -> None:
    while True:
        await send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await asyncio.sleep(0.001)


async def dripping_fields(send: Send) -> None:
    await send(PART)
    while True:
        await send(b"X")
        await asyncio.sleep(0.05)


async def dripping_chunk_extension(send: Send) -> None:
    await send(CHUNKED + b"1;")
    while True:
        await send(b"a")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("misbehave", "error"),
    [
        (endless_body, OriginUnusableError),
        (endless_body_byte_by_byte, OriginUnusableError),
        (endless_chunk_extension, OriginInterruptedError),
        (endless_fields, OriginInterruptedError),
        (endless_interim_responses, OriginInterruptedError),
        (dripping_fields, OriginInterruptedError),
        (dripping_chunk_extension, OriginInterruptedError),
    ],
)
async def test_an_origin_without_end_is_given_up(
    misbehave: Callable[[Send], Awaitable[None]], error: type[OriginError]
) -> None:
    async with misbehaving(misbehave) as (url, sent):
        client = OriginClient(Guard("127.0.0.1", "*"), 1, only_probes=True)
        async with asyncio.timeout(30):
            with pytest.raises(error):
                await RemoteFile.open(partial(client.get, url))
        await client.close()
    # What the buffers of two sockets hold.
    assert sum(sent) < 2**20


@pytest.mark.parametrize("rest", [b"1\r\nx\r\n", b"1;"])
async def test_a_part_that_goes_on_or_lingers_ends_where_it_should(rest: bytes) -> None:
    """All that was asked for is there; the connection is cut."""
    content = b"0123456789"

    async def linger(send: Send) -> None:
        fields = b'HTTP/1.1 206 Partial Content\r\nETag: "a"\r\nTransfer-Encoding: chunked\r\n'
        await send(fields + b"Content-Range: bytes 0-9/10\r\n\r\na\r\n" + content + b"\r\n" + rest)
        while True:
            await send(rest)
            await asyncio.sleep(0.05)

    async with misbehaving(linger) as (url, _):
        client = OriginClient(Guard("127.0.0.1", "*"), 1)
        file = RemoteFile(partial(client.get, url), module.RemoteFileInfo(10, '"a"', None, True, ""))
        async with asyncio.timeout(30):
            assert await read(file, 0, 10) == content
        await client.close()


async def test_a_film_that_drips_holds_its_reader_for_a_while_only() -> None:
    async def drip(send: Send) -> None:
        await send(b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 1000000\r\n\r\n')
        while True:
            await send(b"x")
            await asyncio.sleep(0.05)

    async with misbehaving(drip) as (url, _):
        client = OriginClient(Guard("127.0.0.1", "*"), 1)
        file = await RemoteFile.open(partial(client.get, url))
        async with asyncio.timeout(60):
            with pytest.raises(OriginInterruptedError, match="slowly"):
                await read(file, 0, 1_000_000)
        await client.close()


@asynccontextmanager
async def misbehaving(how: Callable[[Send], Awaitable[None]]) -> AsyncIterator[tuple[Url, list[int]]]:
    """A server that answers each request in a way of its own until it is cut off, and how many bytes it sent."""
    sent: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()
            sent.append(len(data))

        with suppress(ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await how(send)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield parse_url(f"http://127.0.0.1:{port}/film.mp4"), sent
    finally:
        server.close()


async def test_what_speaks_no_http() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n" * 10)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    client = OriginClient(Guard("127.0.0.1", "*"), 1)
    url = parse_url(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/secret?token=hidden")
    with pytest.raises(OriginInterruptedError) as failed:
        await RemoteFile.open(partial(client.get, url))
    assert "hidden" not in str(failed.value)
    await client.close()
    server.close()
