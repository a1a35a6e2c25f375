"""A file on another machine: the right bytes, or none, whatever its server does."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.origins import (
    Guard,
    OriginChangedError,
    OriginClient,
    OriginDeniedError,
    OriginError,
    OriginInterruptedError,
    OriginMissingError,
    OriginUnusableError,
    RemoteFile,
)
from kit.origins import remote as module
from kit.origins.references import Url, parse_url
from kit.testing.origin import MODIFIED, Origin
from kit.tests.origins.conftest import Open

DATA = os.urandom(300_000)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_SEC", 0)


async def read(file: RemoteFile, offset: int = 0, count: int | None = None) -> bytes:
    count = file.info.size - offset if count is None else count
    return b"".join([block async for block in file.blocks(offset, count)])


async def read_until_it_fails(file: RemoteFile, offset: int = 0) -> tuple[bytes, OriginError]:
    got = b""
    try:
        async for block in file.blocks(offset, file.info.size - offset):
            got += block
    except OriginError as error:
        return got, error
    raise AssertionError("it did not fail")


def test_labels_of_the_metric_outlive_the_names_of_the_errors() -> None:
    errors: list[type[OriginError]] = [OriginError, *OriginError.__subclasses__()]
    labels = {"OriginError", "Refused", "Missing", "Denied", "Interrupted", "Changed", "Unusable"}
    assert {error.outcome for error in errors} == labels
    assert len(errors) == len(labels)


async def test_what_is_known_of_it(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    origin.etag = '"tag"'
    info = (await opened("/a")).info
    assert (info.size, info.tag, info.modified) == (len(DATA), '"tag"', MODIFIED)
    assert info.content_type == "video/mp4"
    assert info.takes_ranges
    assert [request.range for request in origin.asked] == ["bytes=0-0"]
    assert origin.asked[0].fields["accept-encoding"] == "identity"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, len(DATA) - 1), count=st.integers(1, len(DATA)), takes_ranges=st.booleans())
async def test_any_range(origin: Origin, opened: Open, offset: int, count: int, takes_ranges: bool) -> None:
    origin.files["/a"] = DATA
    origin.takes_ranges = takes_ranges
    count = min(count, len(DATA) - offset)
    assert await read(await opened("/a"), offset, count) == DATA[offset : offset + count]


async def test_just_what_is_needed_is_asked_for(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    await read(file, 1000, 10)
    assert origin.asked[-1].range == "bytes=1000-1009"
    assert origin.asked[-1].fields["if-range"] == file.info.tag
    assert origin.sent == 11
    # One connection served it all.
    assert origin.connections == 1


async def test_the_state_is_the_same_to_everybody_and_changes_with_the_file(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    states = {(await opened("/a")).info.state for _ in range(2)}
    origin.files["/a"] = DATA[::-1]
    states.add((await opened("/a")).info.state)
    origin.modified = MODIFIED + 1
    states.add((await opened("/a")).info.state)
    assert len(states) == 3


@pytest.mark.parametrize("etag", ["", 'W/"weak"', None])
async def test_bytes_of_two_states_are_never_mixed(origin: Origin, opened: Open, etag: str | None) -> None:
    origin.files["/a"] = DATA
    origin.etag = etag
    file = await opened("/a")
    assert await read(file, 0, 1000) == DATA[:1000]
    origin.files["/a"] = DATA[::-1]
    origin.modified = MODIFIED + 10
    with pytest.raises(OriginChangedError):
        await read(file, 1000, 1000)
    assert not file.is_validated()
    assert await read(await opened("/a")) == DATA[::-1]


async def test_a_change_while_a_body_is_resumed(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    origin.breaks_off_after, origin.breaks_off_times = 100_000, 1
    async with aclosing(file.blocks(0, len(DATA))) as blocks:
        got = await anext(blocks)
        origin.files["/a"] = DATA[::-1]
        with pytest.raises(OriginChangedError):
            got += b"".join([block async for block in blocks])
    assert DATA.startswith(got)


async def test_what_breaks_off_is_continued(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    origin.breaks_off_after, origin.breaks_off_times = 50_000, 2
    assert await read(file) == DATA
    ranges = [request.range for request in origin.asked[1:]]
    assert ranges == [f"bytes={first}-{len(DATA) - 1}" for first in (0, 50_000, 100_000)]


async def test_an_origin_that_always_breaks_off_is_given_up(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    origin.breaks_off_after = 10
    got, error = await read_until_it_fails(file)
    assert isinstance(error, OriginInterruptedError)
    assert DATA.startswith(got)
    assert len(origin.asked) == 1 + module.TRIES


async def test_an_origin_that_goes_away(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    await origin.stop()
    got, error = await read_until_it_fails(file)
    assert (got, type(error)) == (b"", OriginInterruptedError)


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 1-9/300000",
        "bytes 0-10/300000",
        "bytes 0-9/299999",
        "bytes 0-9/*",
        "bytes 9-0/300000",
        "bytes 0-300000/300000",
        "items 0-9/300000",
        "nonsense",
        "bytes 0-9/99999999999999999999999",
    ],
)
async def test_parts_that_were_not_asked_for(origin: Origin, opened: Open, content_range: str) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    origin.content_range = content_range
    with pytest.raises((OriginUnusableError, OriginChangedError)):
        await read(file, 0, 10)


async def test_a_part_may_be_smaller_than_asked_for(origin: Origin, opened: Open) -> None:
    """RFC 9110, 15.3.7: a server may send a part of the range only."""
    origin.files["/a"] = DATA[:20]
    file = await opened("/a")

    def decide(asked: object) -> tuple[int, dict[str, str], bytes | memoryview]:
        first = int(str(getattr(asked, "range", "")).removeprefix("bytes=").partition("-")[0])
        last = min(first + 6, 19)
        fields = {"ETag": file.info.tag, "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}
        body = DATA[first : last + 1]
        fields |= {"Content-Range": f"bytes {first}-{last}/20", "Content-Length": str(len(body))}
        return 206, fields, body

    origin._decide = decide  # type: ignore[method-assign]
    assert await read(file) == DATA[:20]


async def test_parts_with_status_200(origin: Origin, opened: Open) -> None:
    """As rclone's S3 sends them."""
    origin.files["/a"] = DATA
    decide = origin._decide
    origin._decide = lambda asked: (200, *decide(asked)[1:])  # type: ignore[method-assign]
    file = await opened("/a")
    assert file.info.size == len(DATA)
    assert await read(file, 5, 10) == DATA[5:15]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, OriginDeniedError),
        (403, OriginDeniedError),
        (404, OriginMissingError),
        (410, OriginMissingError),
        (429, OriginInterruptedError),
        (500, OriginInterruptedError),
        (503, OriginInterruptedError),
        (400, OriginUnusableError),
        (204, OriginUnusableError),
        (416, OriginUnusableError),
    ],
)
async def test_statuses(origin: Origin, opened: Open, status: int, error: type[OriginError]) -> None:
    origin.status = status
    with pytest.raises(error):
        await opened("/a")


async def test_files_that_can_not_be_served(origin: Origin, opened: Open) -> None:
    origin.files = {"/empty": b"", "/a": DATA}
    with pytest.raises(OriginUnusableError, match="empty"):
        await opened("/empty")
    origin.takes_ranges = False
    with pytest.raises(OriginUnusableError, match="empty"):
        await opened("/empty")
    origin.sends_length = False
    with pytest.raises(OriginUnusableError, match="how long"):
        await opened("/a")
    origin.sends_length = origin.takes_ranges = True
    origin.etag, origin.modified = 'W/"weak"', None
    with pytest.raises(OriginUnusableError, match="change"):
        await opened("/a")
    origin.etag, origin.fields = "", {"Content-Encoding": "gzip"}
    with pytest.raises(OriginUnusableError, match="compress"):
        await opened("/a")


async def test_redirects_are_followed_a_few_times(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    origin.redirects = {"/3": "/2", "/2": "/1", "/1": "/a", "/4": "/3", "/loop": "/loop"}
    assert await read(await opened("/3"), 10, 10) == DATA[10:20]
    for path in ("/4", "/loop"):
        with pytest.raises(OriginUnusableError):
            await opened(path)


async def test_an_origin_that_hangs_takes_only_its_time(origin: Origin, opened: Open) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    origin.hangs = asyncio.Event()
    began = time.monotonic()
    with pytest.raises(OriginInterruptedError, match="in time"):
        await opened("/a")
    assert time.monotonic() - began < 10
    origin.hangs, origin.hangs_after = None, 100_000
    got, error = await read_until_it_fails(file)
    assert isinstance(error, OriginInterruptedError)
    assert DATA.startswith(got)
    assert len(got) > 50_000


async def test_waiting_for_one_origin_delays_no_request_to_another(
    origin: Origin, client: OriginClient, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.origins.client.PER_ORIGIN", 2)
    origin.files["/a"] = DATA
    async with Origin({"/a": DATA}, hangs=asyncio.Event()) as other:
        waiting = [
            asyncio.ensure_future(RemoteFile.open(partial(client.get, parse_url(other.url("/a"))))) for _ in range(8)
        ]
        async with asyncio.timeout(60):
            while len(other.asked) < 2:  # noqa: ASYNC110 - nothing tells when it happens
                await asyncio.sleep(0)
        assert await read(await opened("/a")) == DATA
        # No more than its share is under way.
        assert len(other.asked) == 2
        assert not any(task.done() for task in waiting)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, OriginInterruptedError) for result in results)


async def test_fetches_no_more_than_is_taken(origin: Origin, opened: Open) -> None:
    size = 64 * 2**20
    origin.files["/a"] = bytes(size)
    file = await opened("/a")
    async with aclosing(file.blocks(0, size)) as blocks:
        await anext(blocks)
        before = -1
        async with asyncio.timeout(60):
            while origin.sent != before:
                before = origin.sent
                await asyncio.sleep(0.1)
        # What the buffers of two sockets hold, and no more.
        assert origin.sent < size / 4
        assert origin.open_connections == 1
    async with asyncio.timeout(60):
        while origin.open_connections:  # noqa: ASYNC110 - nothing tells when it happens
            await asyncio.sleep(0.005)


async def test_freshness_ends_and_is_renewed_by_reading(
    origin: Origin, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.files["/a"] = DATA
    file = await opened("/a")
    assert file.is_validated()
    now = time.monotonic()
    monkeypatch.setattr("kit.origins.remote.time.monotonic", lambda: now + module.FRESH_SEC + 1)
    assert not file.is_validated()
    await read(file, 0, 1)
    assert file.is_validated()


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
