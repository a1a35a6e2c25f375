"""Which parts of a file are in memory, asked of the kernel without waiting for a disk.

`preadv2(2)` with RWF_NOWAIT reads what the page cache has and says EAGAIN for the rest, in less than a microsecond.
ext4, XFS and Btrfs know it; overlayfs, tmpfs, FUSE and NFS don't. (`mincore(2)` and `cachestat(2)` tell only a file's
owner the truth.)
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

_UNKNOWN = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)

# Where the byte goes that is read to see whether that needs waiting. Nobody looks at it.
_ANYWHERE = [bytearray(1)]


def classify(fd: int) -> bool:
    """Whether the store of an open file can say what is in memory.

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
    """The residency of files in one store, and the threads that read what is not resident.

    A block counts as resident when its first and its last byte are: the kernel reads ahead in larger pieces, and drops
    in such, too.

    Args:
        pool: threads that may wait for the store. Give it some of its own: a dead share can hold all of them.
        can_ask: what `classify` says of a file in the store. Otherwise no block is known to be resident.
    """

    def __init__(self, pool: ThreadPoolExecutor, *, can_ask: bool) -> None:
        self._pool = pool
        self._can_ask = can_ask

    def is_resident(self, fd: int, offset: int, count: int) -> bool:
        """Whether `count` bytes from `offset` can be sent without waiting; bytes behind the file's end count as there.

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
        """Runs a step in a thread.

        Raises:
            RuntimeError: the threads have been shut down.
        """
        return self._pool.submit(step)
