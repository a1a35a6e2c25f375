"""System calls that the standard library doesn't have, for 64-bit Linux."""

from __future__ import annotations

import ctypes
import errno
import os

_library: ctypes.CDLL | None = None


def libc() -> ctypes.CDLL:
    """Return the C library, which keeps `errno` for `ctypes.get_errno`."""
    global _library  # noqa: PLW0603 - loaded once; not at import, which would fail on other systems
    if _library is None:
        _library = ctypes.CDLL(None, use_errno=True)
        _library.syscall.restype = ctypes.c_long
    return _library


def syscall(number: int, *arguments: int) -> int:
    """Make a system call (syscall(2)); buffers are passed by address.

    Raises:
        OSError: the call failed.
    """
    result = int(libc().syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments)))
    if result < 0:
        number = ctypes.get_errno() or errno.EINVAL
        raise OSError(number, os.strerror(number))
    return result
