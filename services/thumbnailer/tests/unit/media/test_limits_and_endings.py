"""Limits of time and memory, and the endings of the child process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.thumbnailer import domain
from services.thumbnailer.media import inspection
from services.thumbnailer.media.inspection import Limits
from services.thumbnailer.tests.unit.films import Film

if TYPE_CHECKING:
    from collections.abc import Callable

from services.thumbnailer.tests.unit.media.support import ROOT, assert_no_children, failure_of, names, process


def test_time_limit(moov_first: Path, artwork: Path) -> None:
    assert failure_of(moov_first, artwork, Limits(wall_sec=0.001)) == domain.TIME_LIMIT


def test_time_limit_while_the_child_works(stand_in: Callable[[str], None], moov_first: Path, artwork: Path) -> None:
    stand_in("signal.pause()")
    assert failure_of(moov_first, artwork, Limits(wall_sec=0.3)) == domain.TIME_LIMIT


def test_processor_limit(stand_in: Callable[[str], None], moov_first: Path, artwork: Path) -> None:
    stand_in("child.confine(job)\nwhile True: pass")
    assert failure_of(moov_first, artwork, Limits(cpu_sec=1)) == domain.TIME_LIMIT


@pytest.mark.parametrize("mebibytes", [1, 100, 136])
def test_memory_limit(mebibytes: int, tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=0.1, codec="mpeg4", size=(3840, 2160)).save(tmp_path / "film.mp4")
    assert failure_of(film, artwork, Limits(memory_bytes=mebibytes * 2**20)) == domain.MEMORY_LIMIT


def test_a_quarter_of_the_default_memory_is_enough_for_4k(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=0.3, codec="mpeg4", size=(3840, 2160)).save(tmp_path / "film.mp4")
    asyncio.run(
        process(film, artwork / "thumbnail.jpg", Limits(memory_bytes=inspection.DEFAULT_LIMITS.memory_bytes // 4))
    )


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", domain.DECODER_CRASHED),
        ("os.kill(os.getpid(), signal.SIGABRT)", domain.DECODER_CRASHED),
        ("os.kill(os.getpid(), signal.SIGKILL)", domain.INTERRUPTED),
        ("os.kill(os.getpid(), signal.SIGTERM)", domain.INTERRUPTED),
        ("raise SystemExit(3)", domain.DECODER_CRASHED),
        ("os.write(1, b'x' * 3_000_000)", domain.DECODER_CRASHED),
        ("pass", domain.DECODER_CRASHED),
    ],
)
def test_endings_of_the_child(
    ending: str, code: str, stand_in: Callable[[str], None], moov_first: Path, artwork: Path
) -> None:
    stand_in(ending)
    assert failure_of(moov_first, artwork) == code


async def test_cancelling_kills_the_child(
    stand_in: Callable[[str], None], moov_first: Path, tmp_path: Path, artwork: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    stand_in(f"open({str(pipe)!r}, 'w').write(str(os.getpid()))\nsignal.pause()")
    working = asyncio.create_task(process(moov_first, artwork / "thumbnail.jpg"))
    child = int(await asyncio.to_thread(pipe.read_text))
    os.kill(child, 0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert names(artwork) == []


async def test_cancelling_before_anything_happened(moov_first: Path, artwork: Path) -> None:
    working = asyncio.create_task(process(moov_first, artwork / "thumbnail.jpg"))
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert_no_children()


def test_the_child_dies_with_its_parent(
    stand_in: Callable[[str], None], moov_first: Path, tmp_path: Path, artwork: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Opens the pipe before it may open nothing any more, and keeps it open for as long as it lives.
    stand_in(f"""
    out = open({str(pipe)!r}, "w")
    child.confine(job)
    out.write("here\\n")
    out.flush()
    signal.pause()
    """)
    program = f"""
import asyncio, pathlib, tempfile
from services.thumbnailer.media import inspection
tempfile.tempdir = {str(tmp_path)!r}
inspection._CHILD = pathlib.Path({str(inspection._CHILD)!r})
asyncio.run(inspection.inspect(pathlib.Path({str(moov_first)!r}), []))
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT) as parent, pipe.open() as output:  # noqa: S603 - made above
        assert output.readline() == "here\n"
        parent.send_signal(signal.SIGKILL)
        assert output.read() == ""  # comes only when the child is gone
    assert names(artwork) == []
