"""The folder in which embedded mode keeps everything: databases, keys, media. Only its owner may read it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import structlog

from kit.settings import SettingsError

log = structlog.get_logger()

_OWNER_ONLY = 0o600
_OWNER_ONLY_FOLDER = 0o700
_PRIVATE = ("*.db", "*.db-wal", "*.db-shm", "*.db-journal", "*.key", "signing.json*", "first-password")
"""Files that embedded mode makes; the operator may keep others beside them."""


def open_data_folder(folder: Path) -> Path:
    """Return the absolute path of the folder, made and closed to other users of the machine.

    Folder and files that earlier versions left open are closed, too. A file system without permissions, or a folder of
    another user, stays as it is, with a warning.

    Raises:
        SettingsError: it can't be made or read.
    """
    data = folder.resolve()
    try:
        data.mkdir(mode=_OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
        _restrict(data, _OWNER_ONLY_FOLDER)
        for pattern in _PRIVATE:
            for path in data.glob(pattern):
                if not path.is_symlink():
                    _restrict(path, _OWNER_ONLY)
    except OSError as error:
        raise SettingsError(f"MARQUEE_DATA_DIR can't be used: {data} can't be made ({error.strerror}).") from error
    return data


def create_private_files(data: Path, names: Iterable[str]) -> None:
    """Create empty files where there are none yet: SQLite would make databases and their logs readable to all."""
    for name in names:
        (data / name).touch(mode=_OWNER_ONLY)


def _restrict(path: Path, mode: int) -> None:
    try:
        if path.stat().st_mode & 0o777 != mode:
            path.chmod(mode)
    except FileNotFoundError:
        pass  # a log of SQLite's, which is gone when the database is closed
    except PermissionError as error:
        log.warning("data_folder_open", path=str(path), reason=str(error))
