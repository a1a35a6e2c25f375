"""Virtual files by process: built once for all who ask, bounded in time and memory, kept by bytes, and nothing left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp4 import Span, StartBeyondEndError, UnsupportedMediaError, VirtualFile, build, worker_process
from mp4.tests.synthetic import Frame, Script, Shape, box, write
from mp4.worker_process import Builder, parse_worker_output
from services.stream.storage.virtual_file_cache import Identity, VirtualFileLru, VirtualFiles
from services.stream.tests.support import until

FRAMES = tuple(Frame(512, 0, 40, n % 25 == 0) for n in range(250))
FILM = write(Script(1000, (Shape("vide", 12800, FRAMES, (5,) * 50, stss=True),)))


class Source:
    """An open file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        facts = os.fstat(self._file.fileno())
        self.size = facts.st_size
        self.identity: Identity = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)

    def fileno(self) -> int:
        return self._file.fileno()


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "film.mp4"
    path.write_bytes(FILM)
    return Source(path)


@pytest.fixture
async def files() -> AsyncIterator[VirtualFiles]:
    files = VirtualFiles()
    yield files
    files.close()
    await until(lambda: not children())


def children() -> set[int]:
    """The processes that this one has started to build something."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, _, fields = status.read_text().partition(" (")
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if fields.rpartition(") ")[2].split()[1] == str(os.getpid()) and b"mp4" in command:
            found.add(int(number))
    return found


def program(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Has the processes do something else."""
    monkeypatch.setattr(worker_process, "_PROGRAM", f"import os, signal, sys, time  # instead of mp4\n{text}")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The asked times of all that is built."""
    asked: list[int] = []
    run = Builder.build

    def noted(self: Builder, file: worker_process.Readable, size: int, start_ms: int) -> VirtualFile:
        asked.append(start_ms)
        return run(self, file, size, start_ms)

    monkeypatch.setattr(Builder, "build", noted)
    return asked


@pytest.mark.parametrize("start_sec", [0, 0.5, 1, 3.3, 9.9])
async def test_a_process_builds_the_same(files: VirtualFiles, source: Source, start_sec: float) -> None:
    assert await files.get(source, start_sec) == build(source.fileno(), source.size, start_sec)


async def test_many_ask_and_it_is_built_once(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    found = await asyncio.gather(*(files.get(source, 3.3) for _ in range(50)))
    assert len({id(virtual) for virtual in found}) == 1
    assert counted == [3300]


async def test_one_key_frame_is_one_file(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    first = await files.get(source, 3.3)
    assert files.get_cached(source, 3.9) is first
    for start_sec in (3, 3.5, 3.999):
        assert await files.get(source, start_sec) is first
    assert await files.get(source, 4) is not first
    assert counted == [3300, 4000]


async def test_the_whole_is_one_file(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    at_zero = await files.get(source, 0)
    before_the_second_key = await files.get(source, 0.5)
    assert at_zero.digest == before_the_second_key.digest
    assert await files.get(source, 0) is await files.get(source, 0.9)
    assert counted == [0, 500]


async def test_another_state_of_the_file_is_another_file(
    files: VirtualFiles, source: Source, tmp_path: Path, counted: list[int]
) -> None:
    await files.get(source, 3)
    path = tmp_path / "film.mp4"
    os.utime(path, ns=(1, 1))
    await files.get(Source(path), 3)
    assert counted == [3000, 3000]


async def test_a_caller_that_leaves_cancels_no_build(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    first = asyncio.ensure_future(files.get(source, 5))
    second = asyncio.ensure_future(files.get(source, 5))
    await until(lambda: counted)
    first.cancel()
    assert (await second).start_sec == 5
    assert counted == [5000]


async def test_the_end_is_remembered(files: VirtualFiles, source: Source, counted: list[int]) -> None:
    for start_sec in (10, 11, 10, 1e9):
        with pytest.raises(StartBeyondEndError):
            await files.get(source, start_sec)
    assert counted == [10_000]


@pytest.mark.parametrize("start_sec", [-1, float("nan")])
async def test_what_is_no_time_is_not_built(
    files: VirtualFiles, source: Source, counted: list[int], start_sec: float
) -> None:
    with pytest.raises(ValueError, match="not a time"):
        await files.get(source, start_sec)
    assert not counted


async def test_a_failure_is_not_repeated_at_once(files: VirtualFiles, tmp_path: Path, counted: list[int]) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(bytes(1000))
    source = Source(path)
    for start_sec in (1, 1, 2, 3):
        with pytest.raises(UnsupportedMediaError):
            await files.get(source, start_sec)
    # The whole is another question.
    for _ in range(2):
        with pytest.raises(UnsupportedMediaError):
            await files.get(source, 0)
    assert counted == [1000, 0]


async def test_a_failure_is_tried_again_later(
    files: VirtualFiles, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.stream.storage.virtual_file_cache.FAILED_SEC", 0)
    path = tmp_path / "noise.mp4"
    path.write_bytes(bytes(1000))
    for _ in range(2):
        with pytest.raises(UnsupportedMediaError):
            await files.get(Source(path), 1)
    assert counted == [1000, 1000]


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


async def test_a_store_that_fails_is_an_error(
    files: VirtualFiles, source: Source, monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    program(monkeypatch, "print('{\"errno\": 5}')")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            await files.get(source, 1)
    # It may be well again a moment later.
    assert counted == [1000, 1000]


async def test_closing_ends_what_is_under_way(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    program(monkeypatch, "signal.pause()")
    files = VirtualFiles(workers=1)
    asked = [asyncio.ensure_future(files.get(source, start_sec)) for start_sec in (1, 2, 3)]
    await until(children)
    files.close()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(result, UnsupportedMediaError) for result in results)
    assert not children()


async def test_only_so_many_are_built_at_a_time(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    program(monkeypatch, "signal.pause()")
    files = VirtualFiles(workers=2)
    asked = [asyncio.ensure_future(files.get(source, start_sec)) for start_sec in range(1, 6)]
    await until(lambda: len(children()) == 2)
    files.close()
    await asyncio.gather(*asked, return_exceptions=True)
    assert not children()


async def test_nothing_is_started_unasked() -> None:
    files = VirtualFiles()
    assert not children()
    files.close()


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


# --- The shelf -----------------------------------------------------------------------------------


def a_file(first_ms: int, until_ms: int, size: int = 1000) -> VirtualFile:
    return VirtualFile(bytes(size), (Span(0, 1),), first_ms / 1000, first_ms, until_ms, "0" * 24)


ONE: Identity = (1, 1, 1, 1)
OTHER: Identity = (1, 2, 1, 1)


def test_the_shelf_finds_by_time() -> None:
    shelf = VirtualFileLru(10**6)
    whole, middle = a_file(0, 1000), a_file(2000, 3000)
    shelf.keep(ONE, whole)
    shelf.keep(ONE, middle)
    expected = {0: whole, 999: whole, 1000: None, 1999: None, 2000: middle, 2999: middle, 3000: None}
    assert {start_ms: shelf.find(ONE, start_ms) for start_ms in expected} == expected
    assert shelf.find(OTHER, 0) is None


def test_the_shelf_lets_go_of_what_is_not_asked_for() -> None:
    shelf = VirtualFileLru(7000)
    kept = [a_file(n * 1000, n * 1000 + 1000) for n in range(3)]
    for virtual in kept:
        shelf.keep(ONE, virtual)
    shelf.find(ONE, 0)
    shelf.keep(OTHER, a_file(0, 1))
    assert shelf.find(ONE, 0) is kept[0]
    assert shelf.find(ONE, 1000) is None
    assert shelf.find(ONE, 2000) is kept[2]


def test_the_shelf_never_holds_more_than_it_may() -> None:
    shelf = VirtualFileLru(5000)
    too_big = a_file(0, 1, size=6000)
    assert shelf.keep(ONE, too_big) is too_big
    assert shelf.find(ONE, 0) is None
    assert shelf._bytes == 0
    assert not shelf._firsts


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(1, 3), st.integers(0, 4000)), max_size=40
    )
)
def test_the_shelf_adds_up(steps: list[tuple[int, int, int, int]]) -> None:
    shelf = VirtualFileLru(20_000)
    for film, first, length, size in steps:
        identity = (film, 0, 0, 0)
        built = a_file(first, first + length, size)
        kept = shelf.keep(identity, built)
        assert kept.first_ms == first
        assert kept.until_ms >= built.until_ms
    assert shelf._bytes == sum(1024 + len(virtual.header) for virtual in shelf._files.values()) <= 20_000
    firsts = [(identity, first) for identity, listed in shelf._firsts.items() for first in listed]
    assert sorted(firsts) == sorted(shelf._files)
    assert all(listed == sorted(listed) for listed in shelf._firsts.values())


# --- What a child says ---------------------------------------------------------------------------

SAID: dict[str, object] = {
    "spans": [[10, 20]],
    "start_sec": 1.5,
    "first_ms": 1500,
    "until_ms": 2000,
    "digest": "0123456789abcdef01234567",
}


def said(change: Callable[[dict[str, object]], object]) -> bytes:
    facts = dict(SAID)
    change(facts)
    return json.dumps(facts).encode() + b"\nheader\n"


def test_what_a_child_says_is_understood() -> None:
    assert parse_worker_output(said(lambda _: None), 30) == VirtualFile(
        b"header\n", (Span(10, 20),), 1.5, 1500, 2000, "0123456789abcdef01234567"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spans", [[10, 21]]),
        ("spans", [[-1, 5]]),
        ("spans", [[0, 0]]),
        ("spans", [[0]]),
        ("spans", 5),
        ("spans", [[0, True]]),
        ("start_sec", None),
        ("first_ms", -1),
        ("until_ms", "1"),
        ("digest", '"\r\n'),
        ("digest", 5),
    ],
)
def test_nonsense_of_a_child_is_unsupported(key: str, value: object) -> None:
    with pytest.raises(UnsupportedMediaError):
        parse_worker_output(said(lambda facts: facts.update({key: value})), 30)


@settings(max_examples=300, deadline=None)
@given(noise=st.binary(max_size=100))
def test_noise_of_a_child_is_unsupported(noise: bytes) -> None:
    with pytest.raises(UnsupportedMediaError):
        parse_worker_output(noise, 30)
