"""The fast path answers exactly as the ordinary route does, and is taken only when everything is in memory."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Awaitable
from typing import Any

import pytest

from kit.ids import new_id
from kit.testing.fakes import event_of
from marquee.events.v1 import video_pb2
from services.stream.fastpath import MinimalRoute
from services.stream.fastpath.request import CachedRequest
from services.stream.tests.support import VIEWER, Answer, ServiceHarness, fetch, stream_path

pytestmark = pytest.mark.usefixtures("never_stale")

DATA = os.urandom(600_000)
UNIQUE = {"date", "x-request-id"}
OF_PAGES = {"referrer-policy", "content-security-policy"}
"""Headers without a meaning for bytes that no page renders."""
BOUNDARY = re.compile(rb"[0-9a-f]{32}")


@pytest.fixture
def film(harness: ServiceHarness) -> str:
    return harness.store("film.mp4", DATA)


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The videos that were asked for without the framework."""
    found: list[str] = []
    call = MinimalRoute.__call__

    def noted(self: MinimalRoute, cached: CachedRequest, *channel: Any) -> Awaitable[None]:
        found.append(cached.video_id)
        return call(self, cached, *channel)

    monkeypatch.setattr(MinimalRoute, "__call__", noted)
    return found


def comparable(answer: Answer) -> tuple[Any, ...]:
    """Return what must be the same in both."""
    headers = {name: value for name, value in answer.headers.items() if name not in UNIQUE | OF_PAGES}
    if "multipart" in headers.get("content-type", ""):
        headers["content-type"] = "multipart/byteranges"
    return answer.status, headers, BOUNDARY.sub(b"", answer.body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"range": "bytes=0-1"},
        {"range": "bytes=599999-"},
        {"range": "bytes=-70000"},
        {"range": "bytes=0-0,5-9, 100000-300000"},
        {"range": "bytes=1_0-20"},
        {"range": "bytes=5-6", "if_range": '"another"'},
        {"if_none_match": "*"},
        {"if_match": '"another"'},
        {"x_request_id": "a-b-c"},
    ],
)
async def test_both_ways_give_the_same(
    harness: ServiceHarness, film: str, method: str, headers: dict[str, str]
) -> None:
    first, was_short = await fetch(harness, stream_path(film), method, **headers)
    assert not was_short
    again, is_short = await fetch(harness, stream_path(film), method, **headers)
    assert is_short
    assert comparable(again) == comparable(first)
    assert again.headers["x-request-id"]
    assert (again.headers["x-request-id"] == first.headers["x-request-id"]) is ("x_request_id" in headers)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", {}, 200),
        ("", {"range": "bytes=3-9"}, 206),
        ("", {"if_none_match": "*"}, 304),
        ("", {"if_match": '"another"'}, 412),
        ("", {"range": "bytes=999999-"}, 416),
        ("", {"x_test_user": ""}, 401),
        ("", {"x_test_user": "", "accept_language": "ko"}, 401),
        ("", {"x_test_user": "someone:member:acme", "x_request_id": "a-b-c"}, 200),
        ("?start=0", {}, 200),
        ("?ticket=forged", {}, 401),
    ],
)
async def test_without_the_framework_the_first_answer_is_the_same(
    harness: ServiceHarness, direct: list[str], film: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    # A parameter that means nothing to the route is something unusual.
    around, _ = await fetch(harness, f"{stream_path(film)}{path}{'&' if path else '?'}x=1", method, **headers)
    assert direct == []
    another = harness.store("another.mp4", DATA)
    answer, is_short = await fetch(harness, stream_path(another) + path, method, **headers)
    assert direct == [another]
    assert answer.status == (200 if method == "HEAD" and "range" in headers else status), "ranges are of GET only"
    assert not is_short
    answer.headers["etag"] = around.headers["etag"] = ""
    answer.headers["last-modified"] = around.headers["last-modified"] = ""
    assert answer.headers.keys() == around.headers.keys()
    assert comparable(answer) == comparable(around)


async def test_a_ticket_begins_without_the_framework_too(harness: ServiceHarness, direct: list[str], film: str) -> None:
    session = (await harness.call("POST", "/api/play-sessions", {"video_id": film}, x_test_user=VIEWER)).json()
    harness.registry._sessions.clear()
    answer, is_short = await fetch(harness, session["stream_url"], x_test_user="", range="bytes=5-9")
    assert (answer.status, answer.body, is_short) == (206, DATA[5:10], False)
    assert direct == [film]


async def test_a_file_that_fails_at_its_first_byte_is_unavailable_without_the_framework_too(
    harness: ServiceHarness, direct: list[str], film: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_of: object) -> int:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr("zerocopy.residency.os.preadv", fail)
    answer, _ = await fetch(harness, stream_path(film))
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["error"]["code"] == "STREAM_FILE_UNAVAILABLE"
    assert direct == [film]


@pytest.mark.parametrize("path", ["/api/videos/stream", "/api/videos/a/b/stream", "/api/videos/a%2Fb/stream"])
async def test_framework_answers_paths_that_are_no_videos(
    harness: ServiceHarness, direct: list[str], path: str
) -> None:
    answer, _ = await fetch(harness, path, x_test_user="")
    assert answer.status == 404
    assert direct == []


@pytest.mark.parametrize("path", [stream_path(new_id()), stream_path("no-id")])
async def test_missing_video_is_404_without_the_framework(
    harness: ServiceHarness, direct: list[str], path: str
) -> None:
    answer, _ = await fetch(harness, path)
    assert len(direct) == 1
    around, _ = await fetch(harness, f"{path}?x=1")
    assert answer.status == 404
    assert comparable(answer) == comparable(around)
    assert answer.json()["error"]["code"] == "CONTENT_NOT_FOUND"


async def test_seeking_viewer_takes_the_short_way(harness: ServiceHarness, film: str) -> None:
    await fetch(harness, stream_path(film), range="bytes=0-1")
    for first in (500_000, 3, 70_000):
        answer, is_short = await fetch(harness, stream_path(film), range=f"bytes={first}-{first + 9}")
        assert (answer.status, answer.body, is_short) == (206, DATA[first : first + 10], True)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("", {"x_test_user": ""}, 401),
        ("", {"x_test_user": "someone:member:other"}, 200),
        ("", {"range": "bytes=999999-"}, 416),
        ("?x=1", {}, 200),
        ("/info", {}, 200),
        ("x", {}, 404),
        ("", {"content_length": "0"}, 200),
    ],
)
async def test_unusual_request_goes_the_long_way(
    harness: ServiceHarness, film: str, path: str, headers: dict[str, str], status: int
) -> None:
    await fetch(harness, stream_path(film))
    if headers.get("x_test_user"):
        await fetch(harness, stream_path(film), **headers)
    answer, is_short = await fetch(harness, stream_path(film) + path, **headers)
    assert answer.status == status
    assert is_short is (headers.get("x_test_user") == "someone:member:other"), "who may see it is decided there, too"


async def test_refuses_viewer_who_may_not_see_the_video(harness: ServiceHarness) -> None:
    theirs = harness.store("theirs.mp4", b"secret", corporation_id="acme")
    insider = {"x_test_user": "someone:member:acme"}
    await fetch(harness, stream_path(theirs), **insider)
    assert (await fetch(harness, stream_path(theirs), **insider))[1]
    answer, is_short = await fetch(harness, stream_path(theirs), x_test_user="someone:member:other")
    assert (answer.status, is_short) == (404, False)


async def test_changed_file_is_opened_again(
    harness: ServiceHarness, film: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stream.storage.open_files.STAT_SEC", 0)
    await fetch(harness, stream_path(film))
    event = event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film)
    await harness.bus.deliver(event)
    assert not (await fetch(harness, stream_path(film)))[1]
    assert (await fetch(harness, stream_path(film)))[1]
    replacement = harness.root / "new"
    replacement.write_bytes(DATA[::-1])
    replacement.replace(harness.root / "film.mp4")
    answer, is_short = await fetch(harness, stream_path(film))
    assert (answer.body, is_short) == (DATA[::-1], False)
    os.truncate(harness.root / "film.mp4", 1000)
    answer, is_short = await fetch(harness, stream_path(film))
    assert (answer.body, is_short) == (DATA[::-1][:1000], False)
