"""Many requests, many viewers, and clients that behave badly, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest
from structlog.testing import capture_logs

from kit.bus import Delivery
from kit.testing.fakes import event_of
from marquee.events.v1 import video_pb2
from services.stream.tests.support import ServiceHarness, connected, open_below, stream_path, until

DATA = os.urandom(3_000_000)
HUGE = 2**32 + 2**31 + 12345


async def test_many_requests_on_one_connection(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA)
    async with connected(harness.port) as line:
        for first in range(0, 3_000_000, 60_001):
            answer = await line.ask("GET", stream_path(film), range=f"bytes={first}-{first + 999}")
            assert answer.body == DATA[first : first + 1000]
    assert harness.catalog.asked == [film], "known sources are not asked for again"
    await harness.idle()


async def test_pipelined_requests_are_answered_in_order(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA)
    ranges = [(0, 1), (1_000_000, 2_500_000), (7, 7), (2_999_000, 2_999_999)]
    async with connected(harness.port) as line:
        for first, last in ranges:
            line.send("GET", stream_path(film), range=f"bytes={first}-{last}")
        for first, last in ranges:
            assert (await line.answer()).body == DATA[first : last + 1]
    await harness.idle()


@pytest.mark.parametrize("films", [1, 20])
async def test_twenty_viewers_at_a_time(harness: ServiceHarness, films: int) -> None:
    contents = [os.urandom(2_000_000 + n) for n in range(films)]
    ids = [harness.store(f"{n}.mp4", content) for n, content in enumerate(contents)]
    answers = await asyncio.gather(*(harness.get(ids[n % films]) for n in range(20)))
    for n, answer in enumerate(answers):
        assert answer.sha256 == hashlib.sha256(contents[n % films]).hexdigest()
    assert sorted(harness.catalog.asked) == sorted(ids), "those who ask together ask once"
    await harness.idle()


async def test_a_client_that_leaves_frees_everything_at_once(
    harness: ServiceHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "services.stream.delivery.transfers")
    film = harness.sparse("film.mp4", 2**33)
    with capture_logs() as logs:
        async with connected(harness.port) as line:
            line.send("GET", stream_path(film))
            await line.reader.readexactly(1_000_000)
            assert len(open_below(harness.root)) == 1
        await harness.idle()
        await until(lambda: any(entry["event"] == "stream_response" for entry in logs))
    entry = next(entry for entry in logs if entry["event"] == "stream_response")
    assert entry["outcome"] == "aborted"
    assert 1_000_000 <= entry["bytes"] < 2**30


async def test_a_storm_of_abandoned_seeks_leaves_nothing(harness: ServiceHarness) -> None:
    film = harness.sparse("film.mp4", 2**33)

    async def seek(first: int) -> None:
        async with connected(harness.port) as line:
            line.send("GET", stream_path(film), range=f"bytes={first}-")
            await line.head()

    for batch in range(5):
        await asyncio.gather(*(seek((batch * 40 + n) * 2**25) for n in range(40)))
    await harness.idle()
    assert (await harness.get(film, range="bytes=0-1")).body == b"\0\0"


async def test_a_file_cut_off_while_it_is_sent_ends_the_connection(harness: ServiceHarness) -> None:
    film = harness.sparse("film.mp4", 2**30)
    async with connected(harness.port, receive_buffer=65_536) as line:
        line.send("GET", stream_path(film))
        await line.head()
        os.truncate(harness.root / "film.mp4", 2**20)
        received = 0
        async with asyncio.timeout(60):
            while block := await line.reader.read(1 << 20):
                received += len(block)
    assert received < 2**30
    await harness.idle()


async def test_a_replaced_file_is_sent_to_its_end_as_it_was(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA * 10)
    async with connected(harness.port, receive_buffer=65_536) as line:
        line.send("GET", stream_path(film))
        (harness.root / "new").write_bytes(b"other")
        await until(lambda: open_below(harness.root))
        (harness.root / "new").replace(harness.root / "film.mp4")
        assert (await line.answer()).body == DATA * 10


async def test_offsets_beyond_two_and_four_gibibytes(harness: ServiceHarness) -> None:
    islands = {edge - 1000: os.urandom(2000) for edge in (2**31, 2**32)} | {HUGE - 1000: os.urandom(1000)}
    film = harness.sparse("huge.mp4", HUGE, islands)
    for offset, content in islands.items():
        answer = await harness.get(film, range=f"bytes={offset}-{offset + len(content) - 1}")
        assert answer.body == content
        assert answer.headers["content-range"] == f"bytes {offset}-{offset + len(content) - 1}/{HUGE}"
    assert (await harness.get(film, range="bytes=-1000")).body == islands[HUGE - 1000]
    across = await harness.get(film, range=f"bytes={2**31 - 5}-{2**31 + 4},{2**32 - 5}-{2**32 + 4}")
    assert islands[2**31 - 1000][995:1005] in across.body
    assert islands[2**32 - 1000][995:1005] in across.body
    async with connected(harness.port) as line:
        assert (await line.ask("HEAD", stream_path(film))).headers["content-length"] == str(HUGE)


async def test_a_change_is_seen_at_once(harness: ServiceHarness) -> None:
    (changes,) = [each for each, _ in harness.bus.subscriptions if each.types == ("video.*",)]
    assert changes.delivery is Delivery.BROADCAST
    film = harness.store("film.mp4", DATA)
    other = harness.store("other.mp4", DATA)
    before = [(await harness.get(video_id, range="bytes=0-1")).headers["etag"] for video_id in (film, other)]
    for video_id in (film, other):
        harness.catalog.sources[video_id].version = 2
    await harness.bus.deliver(event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film))
    after = [(await harness.get(video_id, range="bytes=0-1")).headers["etag"] for video_id in (film, other)]
    assert after[0] != before[0]
    assert after[1] == before[1]
    for callback in harness.bus.reconnects:
        callback()
    assert (await harness.get(other, range="bytes=0-1")).headers["etag"] != before[1]


async def test_a_video_taken_away_from_a_corporation_is_gone_at_once(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA, corporation_id="acme")
    assert (await harness.get(film, x_test_user="someone:member:acme", range="bytes=0-1")).status == 206
    harness.catalog.sources[film].corporation_id = "other"
    await harness.bus.deliver(event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film))
    assert (await harness.get(film, x_test_user="someone:member:acme", range="bytes=0-1")).status == 404


async def test_counters(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA)
    await harness.get(film)
    await harness.get(film, range="bytes=0-9")
    await harness.get(film, range="bytes=9999999-")
    await harness.idle()
    assert (harness.traffic.total, harness.traffic.bytes_sent) == (3, len(DATA) + 10)
    big = harness.sparse("big.mp4", 2**33)
    async with connected(harness.port) as line:
        line.send("GET", stream_path(big))
        await line.head()
        assert harness.traffic.active == 1
    await harness.idle()


async def test_metrics_follow(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA)
    await harness.get(film, range="bytes=0-9")
    await harness.get(film, range="bytes=0-9")
    wanted = ("stream_active_responses 0.0", "stream_bytes_total ", 'stream_responses_total{status="206"} ')
    async with connected(harness.port) as line, asyncio.timeout(60):
        while True:
            exposed = (await line.ask("GET", "/metrics", x_test_user="")).body.decode()
            if all(f"\n{name}" in exposed for name in wanted):
                break
            await asyncio.sleep(0.05)


async def test_a_body_that_comes_with_the_request_does_no_harm(harness: ServiceHarness) -> None:
    film = harness.store("film.mp4", DATA)
    async with connected(harness.port) as line:
        line.send("GET", stream_path(film), content_length="5")
        line.writer.write(b"hello")
        assert (await line.answer()).body == DATA
        assert (await line.ask("GET", stream_path(film), range="bytes=0-1")).body == DATA[:2]
