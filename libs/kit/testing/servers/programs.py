"""Finding the programs of servers, a directory for their data, and waiting for them."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

Answer = TypeVar("Answer")


class ServerError(RuntimeError):
    """A server could not be found, started or stopped. The message says what to do or holds the end of its log."""


def wait_until(probe: Callable[[], Answer | None], what: str, timeout: float, interval: float = 0.02) -> Answer:
    """Return the first answer of `probe` that is neither None nor False. The only place here that ever sleeps."""
    deadline = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)


@contextlib.contextmanager
def server_directory() -> Iterator[Path]:
    """Make a temporary directory that other users can enter, as PostgreSQL needs when the tests run as root."""
    directory = Path(tempfile.mkdtemp(prefix="marquee-servers-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def find_program(name: str, package: str, patterns: tuple[str, ...] = ()) -> Path:
    """Return a program from the given places (the highest version of a pattern) or from PATH."""
    for pattern in patterns:
        found = [path for path in Path("/").glob(pattern) if os.access(path, os.X_OK)]
        if found:
            return max(found, key=_version_order)
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/usr/local/sbin"):
        candidate = Path(folder) / name
        if folder and os.access(candidate, os.X_OK):
            return candidate
    raise ServerError(f"{name} is not installed: `apt-get install {package}`, or run scripts/install-test-tools.sh")


def _version_order(path: Path) -> list[int]:
    digits = "".join(letter if letter.isdigit() else " " for letter in str(path))
    return [int(number) for number in digits.split()]
