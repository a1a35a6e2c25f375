"""Virtual files are built by a process that is bounded in time and memory, and reaches nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mp4 import UnsupportedMediaError, worker_process
from mp4.tests.synthetic import box
from services.stream.storage.virtual_file_cache import VirtualFiles
from services.stream.tests.support import until
from services.stream.tests.unit.storage.support import Source, children, program


async def test_a_process_that_takes_too_long_is_ended(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    program(monkeypatch, "signal.pause()")
    files = VirtualFiles(time_limit_sec=0.2)
    with pytest.raises(UnsupportedMediaError, match="too long"):
        await files.get(source, 1)
    assert not children()
    files.close()


async def test_a_process_that_takes_too_much_memory_is_unsupported(tmp_path: Path) -> None:
    path = tmp_path / "big.mp4"
    size = 60 * 2**20
    with path.open("wb") as file:
        file.write(box("ftyp", bytes(8)) + box("mdat") + size.to_bytes(4, "big") + b"moov")
        file.truncate(24 + size)
    files = VirtualFiles(memory_bytes=80 * 2**20)
    with pytest.raises(UnsupportedMediaError, match="too large"):
        await files.get(Source(path), 1)
    files.close()


async def test_a_killed_process_is_followed_by_another(
    files: VirtualFiles, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    real = worker_process._PROGRAM
    program(
        monkeypatch,
        f"if not os.path.exists({str(mark)!r}):\n"
        f"    open({str(mark)!r}, 'w').close()\n"
        f"    os.kill(os.getpid(), signal.SIGKILL)\n{real}",
    )
    assert (await files.get(source, 3)).start_sec == 3
    assert mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGSEGV)",
        "sys.exit(3)",
        "print('rubbish')",
        "print('{}')",
        "print('[' * 100000)",
        'print(\'{"spans": [[0, 99999999]], "start_sec": 0, "first_ms": 0, "until_ms": 1, "digest": "'
        + "0" * 24
        + "\"}')",
    ],
)
async def test_a_process_that_fails_is_unsupported(
    files: VirtualFiles, source: Source, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    program(monkeypatch, text)
    with pytest.raises(UnsupportedMediaError):
        await files.get(source, 1)


TRIES = """
import ctypes, errno, os, socket, sys
sys.path += {paths!r}
from mp4.worker import confine
libc = ctypes.CDLL(None, use_errno=True)
confine(*map(int, sys.argv[1:4]))
acts = dict(
    read=lambda: open("/etc/passwd"),
    look=lambda: os.stat("/etc/passwd"),
    chmod=lambda: os.fchmod(0, 0o600),
    utime=lambda: os.utime(0),
    fork=os.fork,
    run=lambda: os.execv("/bin/true", ["true"]),
    talk=lambda: socket.socket(),
    kill=lambda: os.kill(os.getppid(), 0),
    share=lambda: made(libc.shmget(0, 4096, 0o1600)),
)
def made(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
done = []
for name, act in acts.items():
    try:
        act()
        done.append(name)
    except OSError as error:
        if error.errno != errno.EPERM:
            done.append(f"{{name}}: {{error}}")
print('{{"unsupported": "' + f"pid {{os.getpid()}} leads {{os.getsid(0)}}, did {{done}}" + '"}}', flush=True)
os._exit(0)
"""


async def test_a_process_can_do_nothing_but_build(
    files: VirtualFiles, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "_PROGRAM", TRIES.format(paths=worker_process._PATHS))
    with pytest.raises(UnsupportedMediaError, match=r"^pid (\d+) leads \1, did \[\]$"):
        await files.get(source, 1)


async def test_a_process_that_can_not_be_confined_reads_nothing(
    files: VirtualFiles, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_such_call = "from sandbox import seccomp\nseccomp._SECCOMP = {name: 1_000_000 for name in seccomp._SECCOMP}\n"
    unread = "import mp4.worker as child\nchild.answer = lambda *_: os.abort()\n"
    program(monkeypatch, f"sys.path += {worker_process._PATHS!r}\n{no_such_call}{unread}child.main()")
    with pytest.raises(UnsupportedMediaError, match="not confined"):
        await files.get(source, 1)


async def test_a_process_that_computes_for_too_long_is_ended_once(
    files: VirtualFiles, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    program(
        monkeypatch,
        f"sys.path += {worker_process._PATHS!r}\nfrom mp4.worker import confine\n"
        f"open({str(mark)!r}, 'a').write('x')\nconfine(int(sys.argv[1]), int(sys.argv[2]), 1)\nwhile True: pass",
    )
    with pytest.raises(UnsupportedMediaError, match=f"status {-signal.SIGXCPU}$"):
        await files.get(source, 1)
    assert mark.read_text() == "x"


PARENT = """
import asyncio, sys
from types import SimpleNamespace
from mp4 import worker_process
from services.stream.storage.virtual_file_cache import VirtualFiles

worker_process._PROGRAM = sys.argv[1]
source = SimpleNamespace(fileno=lambda: 0, size=100, identity=(0, 0, 0, 0))
asyncio.run(VirtualFiles(time_limit_sec=600).get(source, 1))
"""
CHILD = """
import os, signal, sys
sys.path += {paths!r}
from mp4.worker import confine
# From then on it can make nothing.
os.mkdir(os.path.join({marks!r}, str(os.getpid())))
confine(*map(int, sys.argv[1:4]))
signal.pause()
"""


def child_seen_in(folder: Path) -> Path | None:
    """What the kernel tells of the process that has left its number in a folder."""
    return next((Path("/proc", mark.name, "stat") for mark in folder.iterdir()), None)


def is_gone(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True


async def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[5])
    command = [sys.executable, "-c", PARENT, CHILD.format(paths=worker_process._PATHS, marks=str(tmp_path))]
    parent = subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL)  # noqa: ASYNC220, S603 - our own program
    try:
        await until(lambda: child_seen_in(tmp_path))
        child = child_seen_in(tmp_path)
        assert child
        assert not is_gone(child)
    finally:
        parent.kill()
        parent.wait()
    await until(lambda: is_gone(child))
