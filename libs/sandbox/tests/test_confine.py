"""Limits, granted paths, the end with the parent, and what happens where the kernel lacks something."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from sandbox import confine, landlock, seccomp
from sandbox.tests.support import USERS, answer_of, start_program, status_of


@pytest.mark.parametrize("user", USERS)
def test_confine_returns_the_restrictions_in_force(user: int) -> None:
    filters_calls, version, _ = answer_of("answer(confined())", user=user)
    assert filters_calls is True
    assert version == landlock.version() > 0


def test_this_machine_lacks_nothing() -> None:
    assert confine.missing() == ()


def test_what_the_kernel_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert confine.missing() == ("landlock",)
    monkeypatch.setattr(seccomp, "is_available", lambda _: False)
    assert confine.missing() == ("seccomp", "landlock")
    monkeypatch.setattr("sys.platform", "darwin")
    assert confine.missing() == ("seccomp", "landlock")


def test_a_machine_without_rules_has_no_filter() -> None:
    assert not seccomp.is_available("riscv64")


TELL_ERROR = """
try:
    confined(**given["policy"])
except SandboxError as error:
    answer(str(error))
"""


def test_refuses_where_the_kernel_takes_no_filter() -> None:
    # No such call: what a kernel without filters answers.
    body = "seccomp._SECCOMP = {name: 1_000_000 for name in seccomp._SECCOMP}" + TELL_ERROR
    assert "not implemented" in answer_of(body, policy={})


def test_refuses_to_grant_paths_without_landlock() -> None:
    body = "landlock.version = lambda: 0" + TELL_ERROR
    assert "without Landlock" in answer_of(body, policy={"readable": ["/usr"]})


def test_works_without_landlock_where_no_path_is_granted() -> None:
    body = """
landlock.version = lambda: 0
held = confined()
answer([held.is_isolated, held.landlock, outcome(lambda: os.open("/etc/passwd", os.O_RDONLY))])
"""
    assert answer_of(body) == [True, 0, errno.EPERM]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("own_network", [True, False])
def test_confined_process_sees_no_files(user: int, *, own_network: bool) -> None:
    # Without the filter, which a decoder could get around by a descriptor and a flag that it allows.
    body = """
seccomp.MACHINES = frozenset()
confined(own_network=given["own_network"])
answer([outcome(lambda: os.stat(path)) for path in ("/usr", "usr", "/etc/passwd", "../etc/passwd", "/dev")])
"""
    outcomes = answer_of(body, user=user, own_network=own_network)
    may_leave = answer_of("answer(outcome(lambda: os.chroot('/')) == 0 or L.unshare(0x10000000) == 0)", user=user)
    # In a container, and not root, it stays where it is.
    assert outcomes == ([errno.ENOENT] * 5 if may_leave else [0] * 5)


def test_a_machine_without_rules_is_limited_only_as_far_as_it_goes() -> None:
    body = """
seccomp.MACHINES = frozenset()
held = confined(own_network=False)
processes = resource.getrlimit(resource.RLIMIT_NPROC)
answer([held.filters_calls, outcome(lambda: os.open("/", os.O_RDONLY)), processes])
"""
    assert answer_of(body) == [False, errno.EACCES, [0, 0]]


def test_refuses_a_path_that_is_not_there() -> None:
    assert "No such file" in answer_of(TELL_ERROR, policy={"readable": ["/nowhere"]})


def test_refuses_a_process_with_threads() -> None:
    # What they do is not confined.
    body = "threading.Thread(target=signal.pause, daemon=True).start()" + TELL_ERROR
    assert "threads already" in answer_of(body, policy={})


GRANTED = """
confined(readable=[given["folder"] + "/readable"], writable=[given["folder"] + "/writable"])

def read(path):
    with open(path, "rb", buffering=0) as file:
        return len(file.read(10))

def written(path):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(descriptor, b"x")
    os.close(descriptor)

readable, writable, other = (given["folder"] + "/" + name for name in ("readable", "writable", "other"))
answer({
    "read": outcome(lambda: read(readable + "/file")),
    "write there": outcome(lambda: written(readable + "/file")),
    "make there": outcome(lambda: written(readable + "/fresh")),
    "read what is writable": outcome(lambda: read(writable + "/file")),
    "write": outcome(lambda: written(writable + "/file")),
    "make": outcome(lambda: written(writable + "/fresh")),
    "make a folder": outcome(lambda: os.mkdir(writable + "/folder")),
    "rename": outcome(lambda: os.rename(writable + "/fresh", writable + "/renamed")),
    "remove": outcome(lambda: os.unlink(writable + "/renamed")),
    "make a device": outcome(lambda: os.mkfifo(writable + "/pipe")),
    "chmod": outcome(lambda: os.chmod(writable + "/file", 0o777)),
    "read elsewhere": outcome(lambda: read(other + "/file")),
    "make elsewhere": outcome(lambda: written(other + "/fresh")),
    "leave by a link": outcome(lambda: read(readable + "/link")),
    "leave by ..": outcome(lambda: read(readable + "/../other/file")),
    "run": outcome(lambda: os.execve("/bin/true", ["true"], {})),
})
"""


def test_only_granted_paths_are_within_reach(tmp_path: Path) -> None:
    for name in ("readable", "writable", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "readable" / "link").symlink_to(tmp_path / "other" / "file")
    # Without namespaces, as in a container: what refuses here is Landlock.
    outcomes = answer_of(GRANTED.replace("confined(", "confined(own_network=False, "), folder=str(tmp_path))
    worked = {what for what, error in outcomes.items() if not error}
    assert worked == {
        "read",
        "read what is writable",
        "write",
        "make",
        "make a folder",
        "rename",
        "remove",
    }
    assert outcomes["read elsewhere"] == outcomes["leave by a link"] == outcomes["leave by .."] == errno.EACCES
    assert outcomes["write there"] == errno.EACCES
    assert outcomes["chmod"] == outcomes["make a device"] == outcomes["run"] == errno.EPERM
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["file"]


def test_a_single_file_can_be_granted(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("one")
    (tmp_path / "other").write_text("other")
    body = """
confined(own_network=False, readable=[given["folder"] + "/one"])
answer([outcome(lambda: os.open(given["folder"] + "/" + name, os.O_RDONLY)) for name in ("other", "one")])
"""
    assert answer_of(body, folder=str(tmp_path)) == [errno.EACCES, 0]


@pytest.mark.parametrize("user", USERS)
def test_memory_is_limited(user: int) -> None:
    body = """
confined()
try:
    bytearray(2**30)
except MemoryError:
    answer("no memory")
"""
    assert answer_of(body, user=user) == "no memory"


def test_processor_time_is_limited() -> None:
    body = "confine(Policy(LIMITS._replace(cpu_sec=1)), given['parent'])\nwhile True: pass"
    assert status_of(body) == -signal.SIGXCPU


def test_processor_time_ends_what_ignores_that() -> None:
    body = """
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
confine(Policy(LIMITS._replace(cpu_sec=1)), given["parent"])
while True: pass
"""
    assert status_of(body) == -signal.SIGKILL


@pytest.mark.parametrize("user", USERS)
def test_output_size_is_limited(user: int) -> None:
    body = """
confined()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
many = b"x" * 2**20
written = os.write(1, many)
wrong = outcome(lambda: os.write(1, many))
os._exit(0 if (written, wrong) == (len(many), errno.EFBIG) else 1)
"""
    assert status_of(body, user=user) == 0


def test_open_files_are_limited() -> None:
    body = "confined()\nfirst = os.dup(0)\nanswer([first, outcome(lambda: os.dup(0))])"
    assert answer_of(body) == [3, errno.EMFILE]


def test_a_lower_limit_of_the_parent_is_kept() -> None:
    body = """
resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))
confined()
answer(resource.getrlimit(resource.RLIMIT_AS))
"""
    assert answer_of(body) == [2**29, 2**29]


def test_ends_if_its_parent_is_another() -> None:
    # Itself, which it never is.
    assert status_of("confine(Policy(LIMITS), os.getpid())\nanswer('alive')") == 1


def test_leads_a_session_of_its_own() -> None:
    child, answer = start_program("confined()\nos.write(1, b'.')\nsignal.pause()")
    try:
        assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid
        assert os.getsid(0) != child.pid
    finally:
        child.kill()
        answer.close()
    assert child.wait(60) == -signal.SIGKILL
