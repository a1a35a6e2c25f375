"""Keep files in the page cache, as they were written.

Systems that reclaim memory that was not used for a while (`DAMON_RECLAIM`) do so with a cached file, too. It is read
back from the disk in smaller pieces, from which every server sends up to a fifth slower.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FAILED = ctypes.c_void_p(-1).value


@contextmanager
def kept_resident(path: Path) -> Iterator[bool]:
    """Lock a file's pages in the context; yield whether that is allowed (RLIMIT_MEMLOCK, CAP_IPC_LOCK: mlock(2))."""
    system = ctypes.CDLL(None)
    system.mmap.restype = ctypes.c_void_p
    size = ctypes.c_size_t(path.stat().st_size)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = system.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, ctypes.c_long(0))
    finally:
        os.close(descriptor)
    if found == _FAILED:
        yield False
        return
    address = ctypes.c_void_p(found)
    try:
        yield system.mlock(address, size) == 0
    finally:
        system.munmap(address, size)
