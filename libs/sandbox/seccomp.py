"""A seccomp filter (seccomp(2)) that lists what a process may ask of the kernel, and refuses all else.

It is a program of classic BPF which the kernel runs at each system call. What is not listed fails with EPERM; a call by
another architecture's numbers, which would mean something else, ends the process.
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
"""Those that there are rules for, as `os.uname` names them."""
_SET_MODE_FILTER, _GET_ACTION_AVAILABLE = 1, 2
_FLAG_ALL_THREADS = 1

_LOAD, _AND, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENTS = 0, 4, 16  # in struct seccomp_data
_X32_CALLS = 0x40000000
"""System calls of x86_64 from this number on are those of its 32-bit variant, by the same architecture's name."""
_WHOLE = 0xFFFFFFFF

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
REFUSE: Final = 0x00050000 | errno.EPERM
ABSENT: Final = 0x00050000 | errno.ENOSYS


class Check(NamedTuple):
    """What a 32-bit half of an argument must be, on a machine that puts the lower half first."""

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

    A call that the machine doesn't have is left out. `clone3` is absent, as its flags lie where a filter can't look: C
    libraries then use `clone`.
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
            code += _when(numbers[name], _judge(alternatives))
    return [*code, *_when(CLONE3, [(_RETURN, 0, 0, ABSENT)]), (_RETURN, 0, 0, REFUSE)]


def _when(number: int, block: list[Instruction]) -> list[Instruction]:
    return [(_JUMP_EQUAL, 0, len(block), number), *block]


def _judge(alternatives: Alternatives) -> list[Instruction]:
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
    """A filter that is ready to be installed, which then takes no memory to speak of.

    Args:
        machine: the processor, as `os.uname` names it.
        rules: what is allowed.
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
        # A number above 0 is that of a thread which could not be filtered.
        if syscall(self._call, _SET_MODE_FILTER, _FLAG_ALL_THREADS, ctypes.addressof(self._header)) != 0:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def is_available(machine: str) -> bool:
    """Return whether the kernel takes filters on this machine, and this package has rules for it."""
    if machine not in _SECCOMP:
        return False
    action = ctypes.create_string_buffer(struct.pack("=I", KILL))
    try:
        syscall(_SECCOMP[machine], _GET_ACTION_AVAILABLE, 0, ctypes.addressof(action))
    except OSError:
        return False
    return True
