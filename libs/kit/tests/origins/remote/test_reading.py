"""The right bytes of a remote file, in no more requests than needed, also when a connection breaks off."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.origins import OriginInterruptedError
from kit.origins import remote as module
from kit.testing.origin import MODIFIED, Origin
from kit.tests.origins.conftest import Open
from kit.tests.origins.remote.support import DATA, read, read_until_it_fails


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
