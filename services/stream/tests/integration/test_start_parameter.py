"""`?start=SECONDS` over HTTP: a film of its own, with its own tag, length and ranges, made of the source's bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit.testing.fakes import event_of
from marquee.events.v1 import video_pb2
from services.stream.tests.support import (
    AUTHORISED,
    ServiceHarness,
    connected,
    fetch,
    make_movie,
    run,
    stream_path,
    url,
)

pytestmark = pytest.mark.usefixtures("never_stale")


@pytest.fixture
async def film(harness: ServiceHarness, store: Path) -> str:
    """Its index comes last."""
    return harness.add(await make_movie(store / "movie.mp4"))


async def test_it_is_a_file_of_its_own(harness: ServiceHarness, film: str) -> None:
    path = stream_path(film)
    source, _ = await fetch(harness, path)
    moved, was_short = await fetch(harness, f"{path}?start=0")
    later, _ = await fetch(harness, f"{path}?start=6.5")
    assert not was_short
    assert source.body.index(b"mdat") < source.body.index(b"moov")
    assert moved.body.index(b"moov") < moved.body.index(b"mdat")
    assert len({each.headers["etag"] for each in (source, moved, later)}) == 3
    assert len(source.body) * 0.2 < len(later.body) < len(source.body) * 0.6
    assert {each.status for each in (source, moved, later)} == {200}
    assert {each.headers["content-type"] for each in (source, moved, later)} == {"video/mp4"}


async def test_one_key_frame_is_one_file(harness: ServiceHarness, film: str) -> None:
    answers = [(await fetch(harness, f"{stream_path(film)}?start={start}"))[0] for start in ("6", "6.0", "6.9", "7")]
    assert len({each.headers["etag"] for each in answers[:3]}) == 1
    assert answers[3].headers["etag"] != answers[0].headers["etag"]


@pytest.mark.parametrize("start", ["0", "6.5"])
async def test_ranges_are_of_the_virtual_file_and_come_the_short_way(
    harness: ServiceHarness, film: str, start: str
) -> None:
    path = f"{stream_path(film)}?start={start}"
    whole, _ = await fetch(harness, path)
    size = len(whole.body)
    header = whole.body.index(b"mdat")
    for first, last in ((0, 1), (header - 5, header + 5), (size - 9, size - 1), (0, size - 1)):
        part, is_short = await fetch(harness, path, range=f"bytes={first}-{last}")
        assert (part.status, part.headers["content-range"]) == (206, f"bytes {first}-{last}/{size}")
        assert part.body == whole.body[first : last + 1]
        assert is_short
    several, _ = await fetch(harness, path, range=f"bytes=0-3,{size - 4}-")
    assert whole.body[:4] in several.body
    assert whole.body[-4:] in several.body
    assert (await fetch(harness, path, range=f"bytes={size}-"))[0].headers["content-range"] == f"bytes */{size}"
    head, _ = await fetch(harness, path, "HEAD")
    assert head.headers["content-length"] == str(size)
    resumed, _ = await fetch(harness, path, range="bytes=5-9", if_range=whole.headers["etag"])
    assert resumed.status == 206
    other = (await fetch(harness, stream_path(film)))[0].headers["etag"]
    assert (await fetch(harness, path, range="bytes=5-9", if_range=other))[0].status == 200


@pytest.mark.parametrize(
    "start", ["-1", "nan", "inf", "x", "", "1e999", "10", "10.5", "1_0", "1%20", "%EF%BC%91", "1e300"]
)
async def test_what_is_no_time_of_the_film_is_refused(harness: ServiceHarness, film: str, start: str) -> None:
    answer, _ = await fetch(harness, f"{stream_path(film)}?start={start}")
    assert answer.status == 422
    error = json.loads(answer.body)["error"]
    assert error["code"] == "VALIDATION_FAILED"
    assert error["details"]["fields"][0]["field"] == "start"


@pytest.mark.parametrize("start", ["0", "4"])
async def test_what_can_not_be_begun_elsewhere_is_sent_as_it_is(
    harness: ServiceHarness, store: Path, start: str
) -> None:
    fragmented = await make_movie(store / "fragmented.mp4", "-movflags", "frag_keyframe+empty_moov")
    for path in (fragmented, store / "noise.mp4"):
        if not path.exists():
            path.write_bytes(b"\0\0\0\x08free" * 1000)
        video = harness.add(path)
        plain, _ = await fetch(harness, stream_path(video))
        begun, _ = await fetch(harness, f"{stream_path(video)}?start={start}")
        assert (begun.status, begun.body) == (200, plain.body)
        assert begun.headers["start-applied"] == "false"
        assert "start-applied" not in plain.headers
        assert begun.headers["etag"] == plain.headers["etag"]


async def test_a_film_that_needs_nothing_is_the_source(harness: ServiceHarness, store: Path) -> None:
    film = harness.add(await make_movie(store / "fast.mp4", "-movflags", "+faststart"))
    plain, _ = await fetch(harness, stream_path(film))
    begun, _ = await fetch(harness, f"{stream_path(film)}?start=0")
    assert begun.body == plain.body
    assert begun.headers["etag"] == plain.headers["etag"]
    assert begun.headers["start-applied"] == "true"


async def test_every_way_of_answering_has_start_applied(harness: ServiceHarness, film: str) -> None:
    path = f"{stream_path(film)}?start=6.5"
    first, was_short = await fetch(harness, path)
    assert (first.headers["start-applied"], was_short) == ("true", False)
    again, was_short = await fetch(harness, path)
    assert (again.headers["start-applied"], was_short) == ("true", True)
    head, _ = await fetch(harness, path, "HEAD")
    assert head.headers["start-applied"] == "true"
    current, _ = await fetch(harness, path, if_none_match=first.headers["etag"])
    assert (current.status, current.headers["start-applied"]) == (304, "true")
    async with connected(harness.port) as line:
        for begin in (0, 100, 200):
            part = await line.ask("GET", path, range=f"bytes={begin}-{begin + 9}")
            assert (part.status, part.headers["start-applied"]) == (206, "true")


async def test_just_before_the_end_is_the_last_key_frame(harness: ServiceHarness, film: str) -> None:
    expected, _ = await fetch(harness, f"{stream_path(film)}?start=9.999")
    for _ in range(2):
        answer, _ = await fetch(harness, f"{stream_path(film)}?start=9.9999")
        assert (answer.status, answer.body) == (200, expected.body)
    assert (await fetch(harness, f"{stream_path(film)}?start=10"))[0].status == 422


async def test_a_changed_source_makes_a_new_file(harness: ServiceHarness, store: Path, film: str) -> None:
    path = f"{stream_path(film)}?start=6.5"
    before, _ = await fetch(harness, path)
    (await make_movie(store / "new.mp4", "-b:v", "50k")).replace(store / "movie.mp4")
    event = event_of("video.updated", video_pb2.VideoUpdated(video_id=film), subject=film)
    await harness.bus.deliver(event)
    after, was_short = await fetch(harness, path)
    assert not was_short
    assert after.headers["etag"] != before.headers["etag"]
    assert len(after.body) < len(before.body)


async def test_ffmpeg_plays_it_and_seeks_in_it(harness: ServiceHarness, film: str) -> None:
    whole = await run(
        *("ffmpeg", "-v", "error", "-xerror", "-headers", f"{AUTHORISED}\r\n", "-i", f"{url(harness, film)}?start=6.5"),
        *("-map", "0:v", "-f", "framemd5", "-"),
    )
    source = await run(
        *("ffmpeg", "-v", "error", "-headers", f"{AUTHORISED}\r\n", "-i", url(harness, film)),
        *("-map", "0:v", "-f", "framemd5", "-"),
    )
    hashes = [line.split(b",")[-1] for line in whole.splitlines() if not line.startswith(b"#")]
    expected = [line.split(b",")[-1] for line in source.splitlines() if not line.startswith(b"#")]
    assert hashes == expected[150:], "it begins with the picture of the sixth second, and has all that follow"
    sought = await run(
        *(
            "ffmpeg",
            "-v",
            "error",
            "-ss",
            "2",
            "-headers",
            f"{AUTHORISED}\r\n",
            "-i",
            f"{url(harness, film)}?start=6.5",
        ),
        *("-map", "0:v", "-frames:v", "1", "-f", "framemd5", "-"),
    )
    assert sought.splitlines()[-1].split(b",")[-1] == expected[200]


async def test_info_and_sessions_use_start_0_where_the_index_comes_last(
    harness: ServiceHarness, store: Path, film: str
) -> None:
    fast = harness.add(await make_movie(store / "fast.mp4", "-movflags", "+faststart"))
    missing = harness.add(store / "missing.mp4")
    for video, expected in (
        (film, f"{stream_path(film)}?start=0"),
        (fast, stream_path(fast)),
        (missing, stream_path(missing)),
    ):
        answer, _ = await fetch(harness, f"{stream_path(video)}/info")
        assert json.loads(answer.body)["stream_url"] == expected
