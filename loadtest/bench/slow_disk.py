"""A disk on which every read takes a tenth of a second: a small FUSE file system with one file of zeros.

python -m loadtest.bench.slow_disk FOLDER FILE BYTES MILLISECONDS    serves until its input ends
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kit.testing.servers import wait_until
from loadtest.bench.peers import Place
from loadtest.bench.processes import ProcessError, on_cores

LATENCY_MS = 100
_MOUNT_SEC = 10.0
_END_SEC = 10.0


class SlowDisk:
    """The operations of the file system, as mfusepy calls them.

    Args:
        name: the file's name.
        size: the file's size in bytes.
        seconds: duration of each read.
    """

    use_ns = True

    def __init__(self, name: str, size: int, seconds: float) -> None:
        self._path = f"/{name}"
        self._size = size
        self._seconds = seconds

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Return attributes of the file or its folder, without delay.

        Raises:
            OSError: there is no such file.
        """
        del fh
        owner = {"st_uid": os.geteuid(), "st_gid": os.getegid()}
        if path == "/":
            return {**owner, "st_mode": stat.S_IFDIR | 0o555, "st_nlink": 2}
        if path == self._path:
            return {**owner, "st_mode": stat.S_IFREG | 0o444, "st_nlink": 1, "st_size": self._size}
        raise OSError(errno.ENOENT, path)

    def readdir(self, path: str, fh: int) -> list[str]:
        """Return the names in the folder."""
        del path, fh
        return [".", "..", self._path[1:]]

    def open(self, path: str, flags: int) -> int:
        """Open the file."""
        del path, flags
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Return zeros, after the delay."""
        del path, fh
        time.sleep(self._seconds)
        return bytes(max(0, min(size, self._size - offset)))


@contextlib.contextmanager
def slow_disk(place: Place) -> Iterator[None]:
    """Mount the slow disk in the media store while the context is open, or until this process ends.

    Raises:
        ProcessError: it can't be mounted: /dev/fuse, libfuse or mfusepy is missing, or the container forbids it.
    """
    folder, file = place.media.slow_folder, place.media.slow
    what = (str(folder), Path(file.reference).name, str(file.size), str(LATENCY_MS))
    command = [sys.executable, "-m", "loadtest.bench.slow_disk", *what]
    with on_cores(place.other_cores):
        process = subprocess.Popen(  # noqa: S603 - made above
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    try:
        wait_until(lambda: folder.is_mount() or process.poll() is not None, "the slow disk is mounted", _MOUNT_SEC)
        if process.poll() is not None:
            assert process.stderr  # noqa: S101 - asked for above
            raise ProcessError(f"the slow disk can't be mounted: {process.stderr.read().decode().strip()}")
        yield
    except TimeoutError as error:
        raise ProcessError(str(error)) from error
    finally:
        _end(process, folder)


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    for pipe in (process.stdin, process.stderr):
        if pipe:
            pipe.close()
    try:
        process.wait(_END_SEC)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if folder.is_mount() and (program := shutil.which("fusermount3") or shutil.which("fusermount")):
        subprocess.run([program, "-u", "-z", str(folder)], check=False)  # noqa: S603 - fixed arguments


def _serve(folder: str, name: str, size: int, milliseconds: int) -> None:
    # Imported only here, because it needs libfuse.
    import mfusepy  # noqa: PLC0415

    def end_with_input() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)  # libfuse unmounts and ends

    threading.Thread(target=end_with_input, daemon=True).start()
    mfusepy.FUSE(SlowDisk(name, size, milliseconds / 1000), folder, foreground=True, ro=True, fsname="marquee-bench")


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
