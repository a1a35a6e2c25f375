"""Real clients: curl resumes, ffmpeg seeks."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from services.stream.tests.support import VIEWER, Stage, stream_path


async def run(*command: str | Path) -> bytes:
    """Runs a program to its end; answers what it printed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        output, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    return output


def url(stage: Stage, video_id: str) -> str:
    return f"http://127.0.0.1:{stage.port}{stream_path(video_id)}"


async def test_curl_resumes(stage: Stage, tmp_path: Path) -> None:
    data = os.urandom(5_000_000)
    film = stage.store("film.mp4", data)
    partial = tmp_path / "download"
    partial.write_bytes(data[:1_234_567])
    await run("curl", "-sSf", "-C", "-", "-o", partial, "-H", f"X-Test-User: {VIEWER}", url(stage, film))
    assert partial.read_bytes() == data


@pytest.fixture
async def movie(store: Path) -> Path:
    """Ten seconds whose index comes last, so that a player must seek to begin at all."""
    path = store / "movie.mp4"
    await run(
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"),
        *("-f", "lavfi", "-i", "sine", "-t", "10", "-g", "25", "-b:v", "4M", "-pix_fmt", "yuv420p", path),
    )
    return path


async def test_ffmpeg_seeks(stage: Stage, movie: Path) -> None:
    film = stage.add(movie)
    seek = ("ffmpeg", "-v", "error", "-ss", "7.5")
    frame = ("-frames:v", "3", "-f", "framemd5", "-")
    local = await run(*seek, "-i", movie, *frame)
    streamed = await run(*seek, "-headers", f"X-Test-User: {VIEWER}\r\n", "-i", url(stage, film), *frame)
    assert streamed == local
