"""Provide any original as a file on this machine, so that the process that opens it needs no network.

Originals on other machines are staged. Of an MP4 file with a single index, the first and last megabytes suffice, which
contain that index and the pictures for the thumbnail: they are written into a sparse file as long as the original.
Everything else is fetched completely, because a hole could hide a part that matters.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from kit.ids import new_id
from kit.media import MediaStore, open_below
from kit.origins import (
    Imported,
    Object,
    OriginChangedError,
    OriginError,
    OriginInterruptedError,
    OriginMissingError,
    Origins,
    RemoteFile,
    Stored,
    Url,
    parse,
)
from mp4.errors import UnsupportedMediaError
from mp4.top_level import top_level_boxes
from services.thumbnailer import domain
from services.thumbnailer.media.errors import MediaError, StoreUnavailableError
from services.thumbnailer.media.inspection import open_without_waiting

log = structlog.get_logger()

HEAD_BYTES: Final = 32 * 2**20
TAIL_BYTES: Final = 16 * 2**20
_WRITE_BYTES: Final = 2**20
_MAX_BOXES: Final = 64
_HEADER_BYTES: Final = 16
_PLAIN_BOXES: Final = frozenset({b"ftyp", b"free", b"mdat", b"moov", b"skip", b"uuid", b"wide"})
"""Boxes of a film with a single index. A hole reads as zeros, which are no kind of box."""

Opener = Callable[[str, int], int]


@dataclass(slots=True)
class Local:
    """An original as a file on this machine."""

    path: Path
    opener: Opener = open_without_waiting
    is_whole: bool = True
    """Whether the file is complete; otherwise `Originals.complete` fetches the rest."""
    remote: RemoteFile | None = None


class Originals:
    """Find and stage originals.

    Args:
        store: the platform's media store, where files are staged, too; with a bucket, a folder for staging only.
        origins: reads from other machines.
        import_dir: folder of films that are served from where they are, such as a NAS.
        staging_max_bytes: the largest film that is fetched completely.
        bucket: bucket and prefix of the platform's media store, where that is not a folder.
    """

    def __init__(
        self,
        store: MediaStore,
        origins: Origins,
        import_dir: Path | None,
        staging_max_bytes: int,
        bucket: Object | None = None,
    ) -> None:
        self._store = store
        self._origins = origins
        self._import_dir = import_dir
        self._staging_max_bytes = staging_max_bytes
        self._bucket = bucket

    @asynccontextmanager
    async def provide(self, reference: str) -> AsyncIterator[Local]:
        """Provide an original while the context is open.

        Raises:
            StoreUnavailableError: its origin, or the disk for staging, can't be used now.
            MediaError: its origin refuses it.
            InvalidReferenceError: no service writes such a reference.
        """
        match parse(reference):
            case Stored():
                if self._bucket is None:
                    yield Local(self._store.path(reference))
                    return
                async with self._staged(self._bucket.below(reference), missing=domain.FILE_MISSING) as local:
                    yield local
            case Imported(path):
                folder = self._import_dir
                if folder is None:
                    raise StoreUnavailableError("MARQUEE_IMPORT_DIR is not set here")
                yield Local(folder / path, lambda _path, _flags: open_below(folder, path))
            case Url() | Object() as elsewhere:
                async with self._staged(elsewhere) as local:
                    yield local

    async def complete(self, local: Local) -> None:
        """Fetch the rest of a staged film.

        Raises:
            StoreUnavailableError: its origin, or the disk for staging, can't be used now.
            MediaError: it is too large, or its origin refuses it.
        """
        if local.remote is None:
            return
        size = local.remote.info.size
        if size > self._staging_max_bytes:
            raise MediaError.of(domain.TOO_LARGE_TO_STAGE)
        await _fetch(local.remote, local.path, [range(HEAD_BYTES, size - TAIL_BYTES)])
        local.is_whole = True

    @asynccontextmanager
    async def _staged(self, reference: Url | Object, missing: str = domain.ORIGIN_REFUSES) -> AsyncIterator[Local]:
        path = self._store.incoming(f"{new_id()}.staged")
        try:
            yield await self._stage(reference, path, missing)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _stage(self, reference: Url | Object, path: Path, missing: str) -> Local:
        try:
            remote = await self._origins.open(reference)
        except OriginMissingError as error:
            raise MediaError.of(missing) from error
        except OriginError as error:
            raise _unavailable(error) from error
        size = remote.info.size
        is_whole = size <= HEAD_BYTES + TAIL_BYTES
        places = [range(size)] if is_whole else [range(HEAD_BYTES), range(size - TAIL_BYTES, size)]
        await _fetch(remote, path, places)
        log.info("original_staged", bytes=sum(map(len, places)), size=size)
        local = Local(path, is_whole=is_whole, remote=remote)
        if not is_whole and not await asyncio.to_thread(_has_whole_index, path, places):
            await self.complete(local)
        return local


async def _fetch(remote: RemoteFile, path: Path, places: list[range]) -> None:
    try:
        descriptor = await asyncio.to_thread(_make, path, remote.info.size)
        try:
            for place in places:
                await _fetch_part(remote, descriptor, place)
        finally:
            await asyncio.to_thread(os.close, descriptor)
    except OriginError as error:
        raise _unavailable(error) from error
    except OSError as error:
        raise StoreUnavailableError(f"a film can't be staged: {error}") from error


async def _fetch_part(remote: RemoteFile, descriptor: int, place: range) -> None:
    at, waiting = place.start, bytearray()
    async with aclosing(remote.blocks(place.start, len(place))) as blocks:
        async for block in blocks:
            waiting += block
            if len(waiting) >= _WRITE_BYTES:
                await asyncio.to_thread(os.pwrite, descriptor, bytes(waiting), at)
                at += len(waiting)
                waiting.clear()
    await asyncio.to_thread(os.pwrite, descriptor, bytes(waiting), at)


def _has_whole_index(path: Path, places: list[range]) -> bool:
    """Return whether a staged file is made of boxes, with a whole `moov` and without fragments.

    Only headers are read here; what is in the boxes is for the confined process. Bytes behind a complete film that are
    no box don't matter, if they were fetched.
    """
    size = places[-1].stop
    has_index = False
    end = 0
    with path.open("rb") as file:
        try:
            for count, box in enumerate(top_level_boxes(file.fileno(), size)):
                if count == _MAX_BOXES or box.kind not in _PLAIN_BOXES:
                    return False
                if box.kind == b"moov":
                    has_index = _was_fetched(box.place, places)
                    if not has_index:
                        return False
                end = box.place.stop
        except UnsupportedMediaError:
            return False
    return has_index and _was_fetched(range(end, min(size, end + _HEADER_BYTES)), places)


def _was_fetched(part: range, places: list[range]) -> bool:
    return not part or any(part[0] in place and part[-1] in place for place in places)


def _make(path: Path, size: int) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.truncate(descriptor, size)
    return descriptor


def _unavailable(error: OriginError) -> StoreUnavailableError | MediaError:
    log.warning("origin_unavailable", reason=str(error))
    if isinstance(error, OriginInterruptedError | OriginChangedError):
        return StoreUnavailableError(str(error))
    return MediaError.of(domain.ORIGIN_REFUSES)
