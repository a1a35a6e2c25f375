"""A child inherits nothing from its parent, and is killed with all other processes of its session."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.run import Child, answer_file
from sandbox.tests.support import DEADLINE_SEC, LIBS

Waits = Callable[[Child, float], int]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SEC
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True


@pytest.fixture(params=["thread", "loop", "thread without pidfd", "loop without pidfd"])
def wait(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Waits:
    """The ways to await a child."""

    def refuse(_: int) -> int:
        raise OSError

    if request.param.endswith("without pidfd"):
        monkeypatch.setattr(os, "pidfd_open", refuse)
    if request.param.startswith("thread"):
        return Child.wait
    return lambda child, timeout_sec: asyncio.run(child.wait_async(timeout_sec))


class Python:
    """A child that runs a piece of Python, and what it answers."""

    def __init__(self, program: str) -> None:
        self.answer = answer_file()
        with Path("/dev/null").open("rb") as nothing:
            command = [sys.executable, "-I", "-S", "-c", program]
            self.child = Child(command, stdin=nothing.fileno(), stdout=self.answer.fileno())

    def output(self) -> bytes:
        return os.pread(self.answer.fileno(), 10_000, 0)


LEAVES_ONE = """
import os, signal, time
if os.fork() == 0:
    os.write(1, str(os.getpid()).encode() + b"\\n")
    signal.pause()
while os.fstat(1).st_size == 0:
    time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("program", "status"),
    [("", 0), ("raise SystemExit(3)", 3), ("import os; os.abort()", -signal.SIGABRT)],
)
def test_returns_the_status(program: str, status: int, wait: Waits) -> None:
    assert wait(Python(program).child, DEADLINE_SEC) == status


def test_processes_left_by_the_child_are_killed(wait: Waits) -> None:
    python = Python(LEAVES_ONE)
    assert wait(python.child, DEADLINE_SEC) == 0
    left = int(python.output())
    until(lambda: is_gone(left))


def test_child_over_its_time_limit_is_killed_with_its_session(wait: Waits) -> None:
    python = Python(LEAVES_ONE + "signal.pause()")
    until(lambda: python.output().endswith(b"\n"))
    with pytest.raises(TimeoutError):
        wait(python.child, 0.01)
    assert is_gone(python.child.pid)
    left = int(python.output())
    until(lambda: is_gone(left))


def test_child_can_be_killed_from_another_thread(wait: Waits) -> None:
    python = Python("import signal; signal.pause()")
    killer = threading.Timer(0.05, python.child.kill)
    killer.start()
    assert wait(python.child, DEADLINE_SEC) == -signal.SIGKILL
    killer.join()


def test_ended_child_is_not_killed_again(wait: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its number may be another's by then.
    python = Python("")
    assert wait(python.child, DEADLINE_SEC) == 0
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("killed"))
    python.child.kill()


def test_session_is_killed_before_its_process_id_is_reused(wait: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    kill = os.killpg

    def noted(group: int, number: int) -> None:
        seen.append(Path(f"/proc/{group}").exists())
        kill(group, number)

    monkeypatch.setattr(os, "killpg", noted)
    assert wait(Python("").child, DEADLINE_SEC) == 0
    assert seen == [True]


async def test_cancelling_kills_it() -> None:
    python = Python("import signal; signal.pause()")
    waiting = asyncio.create_task(python.child.wait_async(DEADLINE_SEC))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert is_gone(python.child.pid)


SAYS = """
import json, os
print(json.dumps({
    "descriptors": sorted(set(os.listdir("/proc/self/fd"))),
    "environment": sorted(os.environ),
    "folder": os.getcwd(),
    "leads": os.getsid(0) == os.getpgid(0) == os.getpid(),
    "error": os.readlink("/proc/self/fd/2"),
}))
"""


def test_child_inherits_no_environment_or_descriptors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET", "x")
    opened = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(opened, True)
    try:
        python = Python(SAYS)
        assert python.child.wait(DEADLINE_SEC) == 0
    finally:
        os.close(opened)
    results = json.loads(python.output())
    # The fourth is the one that lists them.
    assert results.pop("descriptors") == ["0", "1", "2", "3"]
    assert set(results.pop("environment")) <= {"LC_CTYPE"}
    assert results == {"folder": "/", "leads": True, "error": "/dev/null"}


PARENT = """
import os, sys, threading
sys.path.append({libs!r})
from sandbox.run import Child
command = [sys.executable, "-I", "-S", "-c", {program!r}, str(os.getpid())]
child = Child(command, stdin=0, stdout=1)
child.wait(600)
"""
CONFINED = """
import os, signal, sys
sys.path.append({libs!r})
from sandbox.confine import Policy, confine
from sandbox.limits import Limits
confine(Policy(Limits(2**30, 30, file_bytes=1000)), int(sys.argv[1]))
os.write(1, str(os.getpid()).encode() + b"\\n")
signal.pause()
"""


def test_child_dies_with_its_parent() -> None:
    program = PARENT.format(libs=LIBS, program=CONFINED.format(libs=LIBS))
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as parent:  # noqa: S603 - our own program
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.kill()
        # Comes only when the child is gone, too.
        assert parent.stdout.read() == b""
    until(lambda: is_gone(pid))


def test_an_answer_lies_in_memory_or_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with answer_file() as answer:
        assert answer.write(b"x") == 1
    monkeypatch.delattr(os, "memfd_create")
    with answer_file() as answer:
        assert answer.write(b"x") == 1


def test_missing_program_is_an_error() -> None:
    with Path("/dev/null").open("rb") as nothing, answer_file() as answer, pytest.raises(FileNotFoundError):
        Child(["/nowhere/program"], stdin=nothing.fileno(), stdout=answer.fileno())
