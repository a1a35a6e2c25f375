"""Find out which parts of a file are in memory, without waiting for a disk.

`preadv2(2)` with RWF_NOWAIT reads what the page cache has and fails with EAGAIN for the rest, in less than a
microsecond. ext4, XFS and Btrfs support it; overlayfs, tmpfs, FUSE and NFS don't. (`mincore(2)` and `cachestat(2)`
give correct results to the owner of a file only.)
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

_UNKNOWN = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)

# Receives the byte that is read to see whether reading would wait. It is never used.
_ANYWHERE = [bytearray(1)]


def classify(fd: int) -> bool:
    """Return whether the file system of an open file can say what is in memory.

    Raises:
        OSError: the file can't be read.
    """
    if not _NOWAIT or not hasattr(os, "preadv"):
        return False
    try:
        os.preadv(fd, _ANYWHERE, 0, _NOWAIT)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in _UNKNOWN:
            return False
        raise
    return True


class PageCache:
    """The residency of files in one store, with threads that read what is not resident.

    A block counts as resident when its first and its last byte are: the kernel reads ahead in larger pieces, and drops
    them in such pieces, too.

    Args:
        pool: threads that may wait for the store. Use a separate pool: a share that hangs can block all of them.
        can_ask: what `classify` returns for a file in the store. If False, no block counts as resident.
    """

    def __init__(self, pool: ThreadPoolExecutor, *, can_ask: bool) -> None:
        self._pool = pool
        self._can_ask = can_ask

    def is_resident(self, fd: int, offset: int, count: int) -> bool:
        """Return whether `count` bytes from `offset` can be sent without waiting; bytes beyond the file's end can.

        Raises:
            OSError: the file can't be read.
        """
        if not count:
            return True
        if not self._can_ask:
            return False
        try:
            os.preadv(fd, _ANYWHERE, offset, _NOWAIT)
            os.preadv(fd, _ANYWHERE, offset + count - 1, _NOWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _UNKNOWN:
                return False
            raise
        return True

    def run(self, step: Callable[[], int]) -> Future[int]:
        """Run a step in a thread.

        Raises:
            RuntimeError: the threads have been shut down.
        """
        return self._pool.submit(step)
