"""A viewer's further ranges on one connection: the same answers, without the application's way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from kit.testing.fakes import event_of
from marquee.events.v1 import video_pb2
from services.stream.fastpath.range_replay import NextRange, RangeReplayer
from services.stream.tests.support import Answer, Line, ServiceHarness, connected, fetch, make_movie, stream_path

pytestmark = pytest.mark.usefixtures("never_stale")

DATA = os.urandom(3_000_000)
OF_EACH = {"date", "x-request-id"}


@pytest.fixture
def film(harness: ServiceHarness) -> str:
    return harness.store("film.mp4", DATA)


@pytest.fixture
def repeated(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The ranges that were replayed."""
    seen: list[bytes] = []
    call = RangeReplayer.__call__

    def spied(self: RangeReplayer, asked: bytes, tracing: Mapping[bytes, bytes]) -> NextRange | None:
        answer = call(self, asked, tracing)
        if answer is not None:
            seen.append(asked)
        return answer

    monkeypatch.setattr(RangeReplayer, "__call__", spied)
    return seen


async def warmed(harness: ServiceHarness, line: Line, film: str, **headers: Any) -> None:
    """The connection's first range on the short way, which the following ones repeat."""
    await fetch(harness, stream_path(film), **headers, range="bytes=0-0")
    assert (await line.ask("GET", stream_path(film), **headers, range="bytes=0-0")).status == 206


def comparable(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    return answer.status, {n: v for n, v in answer.headers.items() if n not in OF_EACH}, answer.body


async def test_every_range_is_answered_as_on_the_short_way(
    harness: ServiceHarness, film: str, repeated: list[bytes]
) -> None:
    asked = ["bytes=5-9", "bytes=2999999-", "bytes=100-2500000", "bytes=-7", "bytes=2000000-9999999"]
    async with connected(harness.port) as line:
        await warmed(harness, line, film)
        sent_before, total_before = harness.traffic.bytes_sent, harness.traffic.total
        for value in asked:
            again = await line.ask("GET", stream_path(film), range=value)
            short, _ = await fetch(harness, stream_path(film), range=value)
            assert comparable(again) == comparable(short)
            assert again.headers["x-request-id"] != short.headers["x-request-id"]
        assert repeated == [value.encode() for value in asked]
        await harness.idle()
    sent = 2 * (5 + 1 + 2_499_901 + 7 + 1_000_000)
    assert harness.traffic.bytes_sent - sent_before == sent
    assert harness.traffic.total - total_before == 2 * len(asked)


@pytest.mark.parametrize("start", ["0", "2.5"])
async def test_ranges_of_a_film_begun_elsewhere_are_repeated_where_they_lie_in_its_file(
    harness: ServiceHarness, store: Path, repeated: list[bytes], start: str
) -> None:
    path = f"{stream_path(harness.add(await make_movie(store / 'movie.mp4')))}?start={start}"
    whole, _ = await fetch(harness, path)
    size, media = len(whole.body), whole.body.index(b"mdat")
    asked = [
        (media + 10, media + 5000),
        (media - 99, media + 9),
        (size - 7, size - 1),
        (0, 3),
        (size - 70_000, size - 1),
    ]
    async with connected(harness.port) as line:
        for first, last in [asked[0], *asked]:
            answer = await line.ask("GET", path, range=f"bytes={first}-{last}")
            assert (answer.status, answer.body) == (206, whole.body[first : last + 1])
            assert answer.headers["etag"] == whole.headers["etag"]
    assert {f"bytes={first}-{last}".encode() for first, last in (asked[0], asked[2])} <= set(repeated)
    assert {b"bytes=%d-%d" % asked[1], b"bytes=0-3"}.isdisjoint(repeated)


@pytest.mark.parametrize(
    ("value", "status"),
    [("bytes=9999999-", 416), ("bytes=0-1,5-6", 206), ("bytes=6-5", 200), ("lines=1-2", 200), ("", 200)],
)
async def test_other_ranges_are_answered_as_ever(
    harness: ServiceHarness, film: str, repeated: list[bytes], value: str, status: int
) -> None:
    async with connected(harness.port) as line:
        await warmed(harness, line, film)
        assert (await line.ask("GET", stream_path(film), range=value)).status == status
        assert repeated == []
        assert (await line.ask("GET", stream_path(film), range="bytes=1-2")).body == DATA[1:3]


@pytest.mark.parametrize("headers", [{"if_range": '"x"'}, {"if_match": "*"}])
async def test_requests_that_depend_on_more_are_not_repeated(
    harness: ServiceHarness, film: str, repeated: list[bytes], headers: dict[str, Any]
) -> None:
    async with connected(harness.port) as line:
        await line.ask("GET", stream_path(film), **headers, range="bytes=0-0")
        for _ in range(2):
            answer = await line.ask("GET", stream_path(film), **headers, range="bytes=0-9")
            assert answer.body[:10] == DATA[:10]
    assert repeated == []


async def test_replayed_request_is_answered_and_logged_with_its_own_id(
    harness: ServiceHarness, film: str, repeated: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "services.stream.delivery.transfers")
    with capture_logs() as logs:
        async with connected(harness.port) as line:
            await fetch(harness, stream_path(film), range="bytes=0-0")
            for name in ("first", "second", "third", "not/acceptable"):
                answer = await line.ask(
                    "GET",
                    stream_path(film),
                    range="bytes=0-9",
                    x_request_id=name,
                    traceparent=f"00-{len(name):032x}-0000000000000001-01",
                )
                assert answer.body == DATA[:10]
                given = answer.headers["x-request-id"]
                assert given == name if name.isalpha() else given not in {"first", "second", "third", name}
                await harness.idle()
                assert [entry["request_id"] for entry in logs if entry["event"] == "stream_response"][-1] == given
    assert repeated == [b"bytes=0-9"] * 3


async def test_other_caller_on_the_same_connection_is_asked_for_anew(
    harness: ServiceHarness, film: str, repeated: list[bytes]
) -> None:
    """A gateway's connections carry requests of many viewers."""
    async with connected(harness.port) as line:
        await warmed(harness, line, film, x_request_id="one")
        assert (await line.ask("GET", stream_path(film), x_request_id="two", range="bytes=1-2")).status == 206
        anonymous = await line.ask("GET", stream_path(film), x_request_id="two", x_test_user="", range="bytes=1-2")
        assert anonymous.status == 401
    assert repeated == [b"bytes=1-2"]


async def test_a_slow_viewer_is_counted_until_the_end(harness: ServiceHarness, repeated: list[bytes]) -> None:
    film = harness.sparse("long.mp4", 100_000_000)
    async with connected(harness.port, receive_buffer=4096) as line:
        await warmed(harness, line, film)
        line.send("GET", stream_path(film), range="bytes=1-")
        await line.head()
        assert harness.traffic.active == 1
        assert repeated == [b"bytes=1-"]
    await harness.idle()


async def test_a_film_that_changed_is_not_repeated(harness: ServiceHarness, film: str, repeated: list[bytes]) -> None:
    async with connected(harness.port) as line:
        await warmed(harness, line, film)
        first = await line.ask("GET", stream_path(film), range="bytes=0-9")
        (harness.root / "new.mp4").write_bytes(DATA[::-1])
        harness.catalog.sources[film].reference = "new.mp4"
        await harness.bus.deliver(event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film))
        second = await line.ask("GET", stream_path(film), range="bytes=0-9")
        assert second.body == DATA[::-1][:10]
        assert second.headers["etag"] != first.headers["etag"]
        assert len(repeated) == 1


async def test_refuses_viewer_who_may_no_longer_see_the_video(harness: ServiceHarness, repeated: list[bytes]) -> None:
    video_id = harness.store("own.mp4", DATA, corporation_id="corporation")
    async with connected(harness.port) as line:
        await warmed(harness, line, video_id, x_test_user="someone:member:corporation")
        caller = "someone:member:corporation"
        first = await line.ask("GET", stream_path(video_id), x_test_user=caller, range="bytes=3-4")
        assert first.body == DATA[3:5]
        harness.catalog.sources[video_id].corporation_id = "another"
        await harness.bus.deliver(
            event_of("video.updated", video_pb2.VideoUpdated(video_id=video_id), subject=video_id)
        )
        second = await line.ask("GET", stream_path(video_id), x_test_user=caller, range="bytes=3-4")
        assert second.status == 404
        assert len(repeated) == 1


async def test_ended_session_ends_its_repeated_ranges(harness: ServiceHarness, repeated: list[bytes]) -> None:
    film = harness.sparse("long.mp4", 2**33)
    answer = await harness.call("POST", "/api/play-sessions", {"video_id": film})
    session = answer.json()
    url, anonymous = session["stream_url"], {"x_test_user": ""}
    async with connected(harness.port, receive_buffer=4096) as slow, connected(harness.port) as idle:
        for line in (slow, idle):
            for _ in range(2):
                await line.ask("GET", url, **anonymous, range="bytes=0-0")
            assert (await line.ask("GET", url, **anonymous, range="bytes=1-2")).status == 206
        slow.send("GET", url, **anonymous, range="bytes=1-")
        await slow.head()
        assert repeated[-1] == b"bytes=1-"
        assert (await harness.call("DELETE", f"/api/play-sessions/{session['session_id']}")).status == 204
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await slow.reader.readexactly(2**32)
        assert (await idle.ask("GET", url, **anonymous, range="bytes=3-4")).status == 404
    await harness.idle()
