"""Real clients: curl, wget and aria2c fetch and resume, ffmpeg plays and seeks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.stream.tests.support import AUTHORISED, ServiceHarness, run, url

DATA = os.urandom(40_000_000)


def content(path: Path) -> bytes:
    return path.read_bytes()


@pytest.fixture
def film(harness: ServiceHarness) -> str:
    return harness.store("film.mp4", DATA)


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    """A download that was cut off."""
    path = tmp_path / "download"
    path.write_bytes(DATA[:1_234_567])
    return path


async def test_curl_asks_for_ranges(harness: ServiceHarness, film: str) -> None:
    got = await run("curl", "-sSf", "-r", "1000-2000000", "-H", AUTHORISED, url(harness, film))
    assert got == DATA[1000:2_000_001]
    assert await run("curl", "-sSf", "-r", "-5", "-H", AUTHORISED, url(harness, film)) == DATA[-5:]
    multipart = await run("curl", "-sSf", "-r", "0-9,30000000-30000009", "-H", AUTHORISED, url(harness, film))
    assert DATA[:10] in multipart
    assert DATA[30_000_000:30_000_010] in multipart


async def test_curl_resumes(harness: ServiceHarness, film: str, partial: Path) -> None:
    await run("curl", "-sSf", "-C", "-", "-o", partial, "-H", AUTHORISED, url(harness, film))
    assert content(partial) == DATA
    # There is nothing left to fetch: 416 with the length, which curl takes for what it is.
    await run("curl", "-sS", "-C", "-", "-o", partial, "-H", AUTHORISED, url(harness, film))
    assert content(partial) == DATA


async def test_wget_resumes(harness: ServiceHarness, film: str, partial: Path) -> None:
    await run("wget", "-q", "-c", "-O", partial, f"--header={AUTHORISED}", url(harness, film))
    assert content(partial) == DATA


async def test_aria2c_fetches_over_sixteen_connections(harness: ServiceHarness, film: str, tmp_path: Path) -> None:
    await run(
        *("aria2c", "-q", "-x16", "-s16", "-k1M", "--file-allocation=none", f"--header={AUTHORISED}"),
        *("-d", tmp_path, "-o", "parallel", url(harness, film)),
    )
    assert content(tmp_path / "parallel") == DATA
    await harness.idle()
    (session,) = harness.registry.all()
    assert (session.bytes_sent >= len(DATA), session.session.request.device_name) == (True, "aria2")


@pytest.fixture(params=["moov first", "moov last"])
async def movie(request: pytest.FixtureRequest, store: Path) -> Path:
    """Ten seconds; where the index comes last, a player must seek to begin at all."""
    path = store / "movie.mp4"
    await run(
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"),
        *("-f", "lavfi", "-i", "sine", "-t", "10", "-g", "25", "-b:v", "4M", "-pix_fmt", "yuv420p"),
        *(("-movflags", "+faststart") if request.param == "moov first" else ()),
        path,
    )
    return path


async def test_ffmpeg_seeks(harness: ServiceHarness, movie: Path) -> None:
    film = harness.add(movie)
    seek = ("ffmpeg", "-v", "error", "-ss", "7.5")
    frame = ("-frames:v", "3", "-f", "framemd5", "-")
    local = await run(*seek, "-i", movie, *frame)
    streamed = await run(*seek, "-headers", f"{AUTHORISED}\r\n", "-i", url(harness, film), *frame)
    assert streamed == local


async def test_ffmpeg_plays_it_whole(harness: ServiceHarness, movie: Path) -> None:
    film = harness.add(movie)
    checks = ("-map", "0", "-f", "md5", "-")
    local = await run("ffmpeg", "-v", "error", "-i", movie, *checks)
    streamed = await run(
        "ffmpeg", "-v", "error", "-xerror", "-headers", f"{AUTHORISED}\r\n", "-i", url(harness, film), *checks
    )
    assert streamed == local
