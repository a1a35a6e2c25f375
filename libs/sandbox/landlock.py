"""Landlock (landlock(7)) restricts which files a process may open. Linux 5.13 and newer."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from typing import TYPE_CHECKING, Final

from sandbox.libc import syscall

if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every machine
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1

_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""Number of file rights by version of Landlock; 16 since the fifth."""
_NETWORK, _SCOPES = 4, 6
"""Versions since which TCP, and since which abstract Unix sockets and signals, can be forbidden."""
_TCP_BIND_CONNECT = 0b11
_ABSTRACT_SOCKETS_SIGNALS = 0b11

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_FILE, _TRUNCATE = 1 << 7, 1 << 8, 1 << 14
_READ: Final = _READ_FILE | _READ_DIR
_WRITE: Final = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_FILE | _TRUNCATE
_OF_PLAIN_FILES: Final = _WRITE_FILE | _READ_FILE | _TRUNCATE


def version() -> int:
    """Return the version of Landlock that the kernel supports, or 0 without it."""
    try:
        return syscall(_CREATE_RULESET, 0, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(readable: Iterable[str] = (), writable: Iterable[str] = ()) -> int:
    """Restrict the calling thread to files at and below some paths.

    Open files stay usable. If the kernel supports it, TCP, abstract Unix sockets of others and signals to others are
    forbidden, too. Needs no_new_privs.

    Returns:
        The version of Landlock in force; 0 if the kernel has none and nothing is restricted.

    Raises:
        OSError: a path does not exist, or the kernel refuses.
    """
    found = version()
    if not found:
        return 0
    rights = (1 << _FILE_RIGHTS.get(found, 16)) - 1
    handled = [rights]
    if found >= _NETWORK:
        handled.append(_TCP_BIND_CONNECT)
    if found >= _SCOPES:
        handled.append(_ABSTRACT_SOCKETS_SIGNALS)
    attributes = ctypes.create_string_buffer(struct.pack(f"={len(handled)}Q", *handled))
    ruleset = syscall(_CREATE_RULESET, ctypes.addressof(attributes), 8 * len(handled), 0)
    try:
        for path in readable:
            _grant(ruleset, path, _READ & rights)
        for path in writable:
            _grant(ruleset, path, _WRITE & rights)
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return found


def _grant(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_PLAIN_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor))
        syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.addressof(rule), 0)
    finally:
        os.close(descriptor)
