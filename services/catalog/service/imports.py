"""Register films that lie elsewhere (NAS, HTTP, S3) as videos, without copying them."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import structlog

from kit.audit import Admin
from kit.errors import invalid_field
from kit.media import InvalidReferenceError, open_below
from kit.origins import Imported, Object, OriginError, Origins, OriginUnusableError, Url, parse
from kit.origins.references import check_path
from services.catalog.file_titles import TITLES
from services.catalog.models import Video
from services.catalog.service.library import Videos

log = structlog.get_logger()

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FILM: Final = re.compile(r"video/[a-z0-9][a-z0-9.+-]*")
_ASSUMED_TYPE: Final = "video/mp4"


@dataclass(frozen=True, slots=True)
class Import:
    """A film that an administrator registers."""

    location: str
    """An HTTP(S) address, `s3://bucket/key`, or a path below the folder of imported films."""
    title: str
    """Empty for the file's name."""
    description: str
    tags: list[str]
    corporation_id: str | None
    protection: str = ""


class Imports:
    """Registers films where they lie.

    Args:
        videos: the library.
        origins: reads files on other machines.
        folder: the folder of films on the NAS; None when there is none.
    """

    def __init__(self, videos: Videos, origins: Origins, folder: Path | None) -> None:
        self._videos = videos
        self._origins = origins
        self._folder = folder

    async def add(self, film: Import, importer: Admin) -> Video:
        """Check that a film can be read and served, and register it; it is processed like an upload.

        Raises:
            ApiError: VALIDATION_FAILED for the field `location`, when it is malformed, or leads to nothing that can be
                served; UPLOAD_CONFLICT when a video has this very file already.
        """
        try:
            reference = _reference(film.location)
            size, mime_type = await self._inspect(reference)
        except InvalidReferenceError as error:
            raise invalid_field("location", str(error)) from error
        except OSError as error:
            raise invalid_field("location", _problem(error)) from error
        return await self._videos.register(
            str(reference),
            size_bytes=size,
            mime_type=mime_type if _FILM.fullmatch(mime_type) else _ASSUMED_TYPE,
            labels=film if film.title else replace(film, title=TITLES.of(_name(reference))),
            importer=importer,
        )

    async def _inspect(self, reference: Url | Object | Imported) -> tuple[int, str]:
        """Return size and media type of a file; the type is empty where its store gives none. Raises OSError."""
        if isinstance(reference, Imported):
            if self._folder is None:
                raise InvalidReferenceError("this platform has no folder to import from: MARQUEE_IMPORT_DIR is not set")
            return await asyncio.to_thread(_size_below, self._folder, reference.path), ""
        info = (await self._origins.open(reference)).info
        return info.size, info.content_type


def _reference(location: str) -> Url | Object | Imported:
    if not _SCHEME.match(location):
        return Imported(check_path(location))
    reference = parse(location)
    if not isinstance(reference, Url | Object):
        raise InvalidReferenceError("only http, https and s3 can be read")
    return reference


def _size_below(folder: Path, path: str) -> int:
    descriptor = open_below(folder, path)
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OriginUnusableError("it is no regular file")
    if not status.st_size:
        raise OriginUnusableError("the file is empty")
    return status.st_size


def _name(reference: Url | Object | Imported) -> str:
    match reference:
        case Url():
            return unquote(urlsplit(reference.target).path).rpartition("/")[2]
        case Object():
            return reference.key.rpartition("/")[2]
        case Imported():
            return reference.path.rpartition("/")[2]


def _problem(error: OSError) -> str:
    match error:
        case OriginError():
            return str(error)
        case FileNotFoundError():
            return "there is no such file"
        case _:
            # ELOOP and ENOTDIR are what a symbolic link gives.
            return f"it can't be read: {error.strerror}"
