"""A seccomp filter (seccomp(2)) that allows a list of system calls and refuses all others.

It is a program of classic BPF that the kernel runs at each system call. A call that is not listed fails with EPERM; one
with another architecture's number, which would mean another call, ends the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from sandbox.calls import AUDIT_ARCHITECTURES, CALLS, CLONE3
from sandbox.libc import syscall

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
MACHINES: Final = frozenset(_SECCOMP)
"""Machines with a filter, by their name in `os.uname`."""
_SET_MODE_FILTER, _GET_ACTION_AVAILABLE = 1, 2
_FLAG_ALL_THREADS = 1

_LOAD, _AND, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16  # in struct seccomp_data
_X32_CALLS = 0x40000000
"""System calls of x86_64 from this number on belong to its 32-bit variant, which has the same architecture's number."""
_WHOLE = 0xFFFFFFFF

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
REFUSE: Final = 0x00050000 | errno.EPERM
ABSENT: Final = 0x00050000 | errno.ENOSYS


class Check(NamedTuple):
    """The required value of a 32-bit half of an argument, on a little-endian machine."""

    argument: int
    value: int
    mask: int = _WHOLE
    upper: bool = False


Alternatives = tuple[tuple[Check, ...], ...]
"""A call is allowed if all checks of one of these hold."""
Instruction = tuple[int, int, int, int]
"""Code, jumps if true and if false, operand."""


def program(machine: str, rules: Mapping[str, Alternatives]) -> list[Instruction]:
    """Translate rules, by the names of the calls, for a machine of `AUDIT_ARCHITECTURES`.

    A call that the machine doesn't have is left out. `clone3` fails with ENOSYS, because a filter can't read its flags
    from memory: C libraries then use `clone`.
    """
    code: list[Instruction] = [
        (_LOAD, 0, 0, _AT_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, AUDIT_ARCHITECTURES[machine]),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _AT_NUMBER),
    ]
    if machine == "x86_64":
        code += [(_JUMP_AT_LEAST, 0, 1, _X32_CALLS), (_RETURN, 0, 0, KILL)]
    numbers = CALLS[machine]
    for name, alternatives in rules.items():
        if name in numbers:
            code += _when(numbers[name], _check_arguments(alternatives))
    return [*code, *_when(CLONE3, [(_RETURN, 0, 0, ABSENT)]), (_RETURN, 0, 0, REFUSE)]


def _when(number: int, block: list[Instruction]) -> list[Instruction]:
    return [(_JUMP_EQUAL, 0, len(block), number), *block]


def _check_arguments(alternatives: Alternatives) -> list[Instruction]:
    code: list[Instruction] = []
    for checks in alternatives:
        block: list[Instruction] = [(_RETURN, 0, 0, ALLOW)]
        for check in reversed(checks):
            test: list[Instruction] = [(_LOAD, 0, 0, _AT_ARGUMENTS + 8 * check.argument + 4 * check.upper)]
            if check.mask != _WHOLE:
                test.append((_AND, 0, 0, check.mask))
            block = [*test, (_JUMP_EQUAL, 0, len(block), check.value), *block]
        code += block
        if not checks:
            return code
    return [*code, (_RETURN, 0, 0, REFUSE)]


class Filter:
    """A prepared filter: installing it needs hardly any memory.

    Args:
        machine: the processor, as `os.uname` names it.
        rules: the allowed calls.
    """

    def __init__(self, machine: str, rules: Mapping[str, Alternatives]) -> None:
        code = program(machine, rules)
        self._call = _SECCOMP[machine]
        self._code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in code))
        self._header = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(self._code)))

    def install(self) -> None:
        """Filter all calls of this process from now on. Needs no_new_privs.

        Raises:
            OSError: the kernel refuses; nothing is filtered.
        """
        # A positive result is the id of a thread that could not be filtered.
        if syscall(self._call, _SET_MODE_FILTER, _FLAG_ALL_THREADS, ctypes.addressof(self._header)) != 0:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def is_available(machine: str) -> bool:
    """Return whether the kernel supports filters, and this package has rules for this machine."""
    if machine not in _SECCOMP:
        return False
    action = ctypes.create_string_buffer(struct.pack("=I", KILL))
    try:
        syscall(_SECCOMP[machine], _GET_ACTION_AVAILABLE, 0, ctypes.addressof(action))
    except OSError:
        return False
    return True
