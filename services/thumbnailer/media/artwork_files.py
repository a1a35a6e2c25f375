"""Write the files of artwork durably."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from services.thumbnailer import domain
from services.thumbnailer.media.errors import MediaError


def save_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if its parent exists; after a failure it is removed.

    Each file is written completely or not at all, and replaces an older one.

    Raises:
        MediaError: THUMBNAIL_UNWRITABLE.
    """
    try:
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            _save(folder / name, content)
    except OSError:
        remove_folder(folder)
        raise MediaError.of(domain.THUMBNAIL_UNWRITABLE) from None


def remove_folder(folder: Path) -> None:
    """Remove a folder of artwork, as far as that is possible; catalog's sweep removes what is left."""
    shutil.rmtree(folder, ignore_errors=True)


def _save(target: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=".artwork-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            # mkstemp makes it readable for the owner only; other services read artwork as another user.
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
