"""The filter's program, interpreted as by the kernel, also for other machines than this one."""

from __future__ import annotations

import errno
import struct

import pytest

from sandbox.calls import AUDIT_ARCHITECTURES, CALLS, CLONE3
from sandbox.rules import rules
from sandbox.seccomp import ABSENT, ALLOW, KILL, REFUSE, Instruction, program

MACHINES = sorted(CALLS)
OWN_PID = 4321
LOAD, AND, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
AT_FDCWD = -100
THREAD = 0x3D0F00


def verdict(code: list[Instruction], architecture: int, number: int, arguments: tuple[int, ...]) -> int:
    """Return a filter's decision about a call: classic BPF over struct seccomp_data (seccomp(2))."""
    given = [argument & (2**64 - 1) for argument in (*arguments, *[0] * 6)][:6]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *given)
    accumulator = at = 0
    for _ in range(len(code)):
        operation, if_true, if_false, operand = code[at]
        at += 1
        if operation == LOAD:
            accumulator = struct.unpack_from("=I", data, operand)[0]
        elif operation == AND:
            accumulator &= operand
        elif operation == JUMP_EQUAL:
            at += if_true if accumulator == operand else if_false
        elif operation == JUMP_AT_LEAST:
            at += if_true if accumulator >= operand else if_false
        else:
            assert operation == RETURN
            return operand
    raise AssertionError("the program does not end")


def judged(machine: str, call: str | int, *arguments: int, threads: bool = False, paths: bool = False) -> int:
    code = program(machine, rules(OWN_PID, threads=threads, paths=paths, writable_paths=False))
    number = call if isinstance(call, int) else CALLS[machine][call]
    return verdict(code, AUDIT_ARCHITECTURES[machine], number, arguments)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("read", (0, 1, 2)),
        ("pread64", (0, 1, 2, 3)),
        ("write", (1, 1, 2)),
        ("futex", (1, 2, 3)),
        ("exit_group", (0,)),
        ("mmap", (0, 4096, 3, 0x22, -1, 0)),
        ("mprotect", (4096, 4096, 1)),
        ("newfstatat", (0, 4096, 4096, 0x1000)),
        ("fcntl", (0, 1030, 3)),
        ("fcntl", (0, 1)),
        ("prlimit64", (0, 7, 0, 4096)),
        ("tgkill", (OWN_PID, 1, 6)),
        ("setpriority", (0, 0, 10)),
    ],
)
def test_allows(machine: str, call: str, arguments: tuple[int, ...]) -> None:
    assert judged(machine, call, *arguments) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("mmap", (0, 4096, 7, 0x22, -1, 0)),
        ("mmap", (0, 4096, 4, 0x22, -1, 0)),
        ("mprotect", (4096, 4096, 5)),
        ("newfstatat", (AT_FDCWD, 4096, 4096, 0)),
        ("newfstatat", (AT_FDCWD, 4096, 4096, 0x1000)),
        ("newfstatat", (0, 4096, 4096, 0x1100)),
        ("newfstatat", (0, 4096, 4096, 0)),
        ("fcntl", (0, 4, 0)),
        ("fcntl", (0, 8, 1)),
        ("fcntl", (0, 1024, 1)),
        ("prlimit64", (1, 7, 0, 4096)),
        ("prlimit64", (OWN_PID, 7, 0, 4096)),
        ("prlimit64", (0, 7, 4096, 0)),
        ("prlimit64", (0, 7, 2**40, 0)),
        ("tgkill", (1, 1, 6)),
        ("tgkill", (-1, 1, 6)),
        ("setpriority", (0, 1, 10)),
        ("setpriority", (2, 0, 10)),
        ("getsid", (1,)),
        ("sched_getaffinity", (0, 8, 4096)),
        ("clone", (THREAD,)),
        ("clone", (17,)),
        ("openat", (AT_FDCWD, 4096, 0)),
        ("unlinkat", (AT_FDCWD, 4096, 0)),
        (999, ()),
    ],
)
def test_refuses(machine: str, call: str | int, arguments: tuple[int, ...]) -> None:
    assert judged(machine, call, *arguments) == REFUSE == 0x50000 | errno.EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("flags", [THREAD, THREAD | 0x400000])
def test_threads_are_allowed_by_leave(machine: str, flags: int) -> None:
    assert judged(machine, "clone", flags, threads=True) == ALLOW
    assert judged(machine, "sched_getaffinity", 0, threads=True) == ALLOW
    assert judged(machine, "sched_getaffinity", 1, threads=True) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "flags",
    [
        17,
        0,
        THREAD & ~0x10000,
        0x4111,
        0x100 | 0x4000 | 17,
        THREAD | 0x8000,
        *(THREAD | 1 << bit for bit in range(25, 31)),
    ],
)
def test_processes_never_are(machine: str, flags: int) -> None:
    assert judged(machine, "clone", flags, threads=True) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
def test_clone3_is_absent(machine: str) -> None:
    assert judged(machine, CLONE3, threads=True) == ABSENT


@pytest.mark.parametrize("machine", MACHINES)
def test_readable_paths_can_be_opened_and_writable_ones_changed(machine: str) -> None:
    assert judged(machine, "openat", AT_FDCWD, 4096, 0, paths=True) == ALLOW
    assert judged(machine, "newfstatat", AT_FDCWD, 4096, 4096, 0, paths=True) == ALLOW
    assert judged(machine, "unlinkat", AT_FDCWD, 4096, 0, paths=True) == REFUSE


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architectures_call_ends_the_process(machine: str) -> None:
    code = program(machine, rules(OWN_PID, threads=True, paths=True, writable_paths=True))
    for architecture in (
        0x40000003,
        0x40000028,
        0,
        *(set(AUDIT_ARCHITECTURES.values()) - {AUDIT_ARCHITECTURES[machine]}),
    ):
        assert verdict(code, architecture, CALLS[machine]["read"], ()) == KILL


@pytest.mark.parametrize("number", [0x40000000, 0x40000000 + 39, -1])
def test_a_call_of_x32_ends_the_process(number: int) -> None:
    assert judged("x86_64", number) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_is_one_that_the_kernel_takes(machine: str) -> None:
    code = program(machine, rules(OWN_PID, threads=True, paths=True, writable_paths=True))
    assert len(code) <= 4096
    for at, (_, if_true, if_false, operand) in enumerate(code):
        assert 0 <= if_true < 256
        assert 0 <= if_false < 256
        assert at + 1 + max(if_true, if_false) < len(code) or code[at][0] == RETURN
        assert 0 <= operand < 2**32


@pytest.mark.parametrize("machine", MACHINES)
def test_no_two_calls_have_one_number(machine: str) -> None:
    assert len(set(CALLS[machine].values())) == len(CALLS[machine])


@pytest.mark.parametrize("machine", MACHINES)
def test_rules_are_for_calls_that_some_machine_has(machine: str) -> None:
    named = set(rules(OWN_PID, threads=True, paths=True, writable_paths=True))
    assert named == set().union(*map(set, CALLS.values()))
    assert named >= set(CALLS[machine])
