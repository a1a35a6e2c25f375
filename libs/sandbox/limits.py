"""Resource limits (getrlimit(2)) of a confined process."""

from __future__ import annotations

import resource
from typing import NamedTuple


class Limits(NamedTuple):
    """The resources that one process may use."""

    memory_bytes: int
    """Address space in bytes."""
    cpu_sec: int
    """Processor time. Then the process gets SIGXCPU, by which the parent recognises this limit, and SIGKILL a second
    later."""
    file_bytes: int = 0
    """Size in bytes of the largest file that it may write."""
    open_files: int = 4
    """Lowest descriptor that it can't open. 4: standard input, output and error, and a duplicate of one of them."""

    def apply(self, *, threads: bool) -> None:
        """Set the limits; nothing raises them again without CAP_SYS_RESOURCE. A lower hard limit is kept.

        Args:
            threads: leave RLIMIT_NPROC as it is. It counts all threads of a user, so that it can't grant a few.
        """
        wanted = {
            resource.RLIMIT_CORE: (0, 0),
            resource.RLIMIT_CPU: (self.cpu_sec, self.cpu_sec + 1),
            resource.RLIMIT_FSIZE: (self.file_bytes, self.file_bytes),
            resource.RLIMIT_NOFILE: (self.open_files, self.open_files),
            resource.RLIMIT_AS: (self.memory_bytes, self.memory_bytes),
        }
        if not threads:
            wanted[resource.RLIMIT_NPROC] = (0, 0)
        for what, amounts in wanted.items():
            _, most = resource.getrlimit(what)
            resource.setrlimit(what, amounts if most == resource.RLIM_INFINITY else _at_most(amounts, most))


def _at_most(amounts: tuple[int, int], most: int) -> tuple[int, int]:
    soft, hard = amounts
    return min(soft, most), min(hard, most)
