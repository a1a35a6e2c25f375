"""What `marquee upload` remembers between runs: a small file for each film and server, in the user's state folder."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_SAMPLE = 1 << 16


@dataclass(frozen=True, slots=True)
class Remembered:
    """How far a film is."""

    url: str | None = None
    """The path of its unfinished upload on the server."""
    video_id: str | None = None
    """The video that it has become."""


class UploadState:
    """The memory of one user's uploads to one server.

    Args:
        server: its address.
        login: who uploads: an upload belongs to its user.
        folder: where the files are; the XDG state folder by default.
    """

    def __init__(self, server: str, login: str, folder: Path | None = None) -> None:
        self._owner = f"{server.rstrip('/')}\0{login}"
        self._folder = folder or _state_folder()

    def key(self, path: Path) -> str:
        """Return the key of a file: of server, login and fingerprint, so that a renamed file is recognized.

        The fingerprint is size, time of the last change, and the first and last 64 KiB.

        Raises:
            OSError: the file can't be read.
        """
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            ends = file.read(_SAMPLE) + os.pread(file.fileno(), _SAMPLE, max(0, stat.st_size - _SAMPLE))
        digest = hashlib.sha256(f"{self._owner}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        digest.update(ends)
        return digest.hexdigest()[:32]

    def load(self, key: str) -> Remembered:
        """Return what is remembered; nothing if the file is missing or damaged."""
        try:
            content = json.loads(self._path(key).read_text())
            return Remembered(content.get("url"), content.get("video_id"))
        except (OSError, ValueError, AttributeError):
            return Remembered()

    def save(self, key: str, remembered: Remembered) -> None:
        """Remember it, also after a crash: the file is replaced as a whole."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(key)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(remembered)))
        fresh.replace(path)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "marquee" / "uploads"
