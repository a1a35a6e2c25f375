"""Distinguish a film that was deleted from one whose store was taken away."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from kit.origins import Imported, Stored, parse
from services.stream.domain import Source


class Mounts:
    """The folders that originals are mounted at: an empty mount point is a folder, too, and lacks every film.

    Args:
        media: of the platform's own store; None where it is a bucket.
        imports: of films served from where they lie; None where there are none.
    """

    def __init__(self, media: Path | None, imports: Path | None) -> None:
        self._media = media
        self._imports = imports

    def is_deleted(self, source: Source) -> bool:
        """Return whether an original that is not found was deleted. Blocks."""
        match parse(source.reference):
            case Stored(reference):
                # The folder of all films is made with the first of them, and never removed. `incoming` is no sign: a
                # service makes it anew wherever it finds the store.
                return self._media is None or (self._media / reference.partition("/")[0]).is_dir()
            case Imported():
                with suppress(OSError):
                    return self._imports is not None and any(os.scandir(self._imports))
                return False
            case _:
                # The other machine has answered that the film is not there.
                return True
