"""What a file can not reach."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import select
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.thumbnailer import domain
from services.thumbnailer.media import inspection
from services.thumbnailer.media.inspection import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

from services.thumbnailer.tests.unit.media.support import failure_of, saved


class Watch:
    """Tells whether a file was opened (inotify(7))."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        in_open = 0x20
        assert libc.inotify_add_watch(self._fd, os.fsencode(path), in_open) > 0

    def was_opened(self) -> bool:
        try:
            return bool(os.read(self._fd, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._fd)


@pytest.mark.parametrize(
    "script",
    [
        "#EXTM3U\n#EXTINF:1,\nfile://{canary}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:1,\n{canary}\n#EXTINF:1,\nhttp://127.0.0.1:{port}/canary.ts\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:{port}/canary.m3u8\n",
        "ffconcat version 1.0\nfile 'file:{canary}'\n",
        "file:{canary}",
        "http://127.0.0.1:{port}/canary.mp4\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    ],
)
def test_scripts_reach_neither_files_nor_network(script: str, moov_first: Path, tmp_path: Path, artwork: Path) -> None:
    canary = tmp_path / "canary.mp4"
    shutil.copyfile(moov_first, canary)
    watch = Watch(canary)
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = script.format(canary=canary, port=server.getsockname()[1])
        assert failure_of(saved(tmp_path / "film.mp4", text.encode()), artwork) == domain.NOT_A_VIDEO
        assert select.select([server], [], [], 0) == ([], [], [])
    assert not watch.was_opened()
    canary.read_bytes()
    assert watch.was_opened(), "the watch itself does not work"
    watch.close()


async def ask(source: Path, limits: Limits = inspection.DEFAULT_LIMITS) -> bytes:
    with source.open("rb") as file:
        return await inspection._ask_child(file, [], limits)


def test_the_child_can_reach_nothing(stand_in: Callable[[str], None], moov_first: Path) -> None:
    stand_in("""
    import ctypes, resource
    isolated = child.confine(job)
    def made_by(result):
        if result == -1:
            raise OSError
    def tried(action):
        try:
            action()
        except OSError:
            return "refused"
        return "done"
    made = {
        "read": tried(lambda: open("/etc/passwd")),
        "write": tried(lambda: open("left-behind", "w")),
        "talk": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        "listen": tried(lambda: socket.socket(socket.AF_UNIX)),
        "run": tried(lambda: os.execv("/bin/true", ["true"])),
        "kill": tried(lambda: os.kill(job["parent_pid"], 0)),
        "grow": tried(lambda: os.pwrite(1, b"x", job["answer_bytes"])),
        "environment": dict(os.environ),
        "isolated": isolated,
        "change": tried(lambda: os.fchmod(0, 0o644)),
        "change by path": tried(lambda: os.chmod("/etc/passwd", 0o644)),
        "date by path": tried(lambda: os.utime("/etc/passwd")),
        "look": tried(lambda: os.stat("/etc/passwd")),
        "limit": tried(lambda: resource.prlimit(job["parent_pid"], resource.RLIMIT_NOFILE)),
        "fork": tried(os.fork),
        "share": tried(lambda: made_by(ctypes.CDLL(None, use_errno=True).shmget(0, 4096, 0o1600))),
        "session": os.getsid(0) == os.getpid(),
        "nice": os.nice(0),
    }
    os.write(1, json.dumps(made).encode())
    """)
    made = json.loads(asyncio.run(ask(moov_first)))
    refused = {what for what, came_of_it in made.items() if came_of_it == "refused"}
    assert refused == {
        *("read", "write", "talk", "listen", "run", "kill", "grow", "change", "change by path", "date by path"),
        *("look", "limit", "fork", "share"),
    }
    assert set(made["environment"]) <= {"LC_CTYPE"}
    assert made["isolated"]
    assert made["session"]
    assert made["nice"] >= 10


def test_a_server_that_can_not_confine_the_child_opens_no_file(
    stand_in: Callable[[str], None], moov_first: Path, artwork: Path
) -> None:
    stand_in("""
    from sandbox import seccomp
    seccomp._SECCOMP = {name: 1_000_000 for name in seccomp._SECCOMP}  # no such call
    child.run_jobs = lambda *_: os.abort()
    child.main()
    """)
    assert failure_of(moov_first, artwork) == domain.SERVER_BUSY


def test_processes_left_by_the_decoder_are_killed(
    stand_in: Callable[[str], None], moov_first: Path, tmp_path: Path, artwork: Path
) -> None:
    mark = tmp_path / "left"
    # It does so before it is confined, when it still can.
    stand_in(f"""
    if (forked := os.fork()) == 0:
        signal.pause()
    with open({str(mark)!r}, "w") as file:
        file.write(str(forked))
    raise SystemExit(3)
    """)
    assert failure_of(moov_first, artwork) == domain.DECODER_CRASHED
    stat, deadline = Path("/proc", mark.read_text(), "stat"), time.monotonic() + 60
    while not has_ended(stat):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_ended(stat: Path) -> bool:
    """Return whether a process has ended, even if it was not waited for."""
    try:
        return stat.read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True
