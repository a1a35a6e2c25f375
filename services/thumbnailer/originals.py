"""Makes any original a file on this machine, so that the process that opens it needs no network.

What lies on another machine is staged. Of an MP4 file that is described by one index, the first and last megabytes do,
where that index is and the pictures that a thumbnail is made of: they go into a file of holes as long as the original.
Everything else is fetched whole, as what a hole hides could be a part of what it is.
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
    Origins,
    RemoteFile,
    Stored,
    Url,
    parse,
)
from services.thumbnailer import domain
from services.thumbnailer.media import MediaError, open_plainly

log = structlog.get_logger()

HEAD_BYTES: Final = 32 * 2**20
TAIL_BYTES: Final = 16 * 2**20
_WRITE_BYTES: Final = 2**20
_MAX_BOXES: Final = 64
_HEADER_BYTES: Final = 16
_SHORTEST_BOX: Final = 8
_PLAIN_BOXES: Final = frozenset({b"ftyp", b"free", b"mdat", b"moov", b"skip", b"uuid", b"wide"})
"""A hole has no kind."""
_FILM_BOXES: Final = frozenset({b"mdat", b"moof", b"moov"})

Opener = Callable[[str, int], int]


class StoreAway(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The media store, an origin, or this machine is not up to the job now: it is worth another try."""


@dataclass(slots=True)
class Local:
    """An original as a file on this machine."""

    path: Path
    opener: Opener = open_plainly
    is_whole: bool = True
    """Whether all of it is there; otherwise `Originals.complete` gets the rest."""
    remote: RemoteFile | None = None


class Originals:
    """Finds and stages originals.

    Args:
        store: the platform's own; files are staged there, too.
        origins: reads from other machines.
        import_dir: films on the NAS that are served from where they lie.
        staging_max_bytes: the largest film that is fetched whole.
    """

    def __init__(self, store: MediaStore, origins: Origins, import_dir: Path | None, staging_max_bytes: int) -> None:
        self._store = store
        self._origins = origins
        self._import_dir = import_dir
        self._staging_max_bytes = staging_max_bytes

    @asynccontextmanager
    async def at_hand(self, reference: str) -> AsyncIterator[Local]:
        """An original, for as long as the block lasts.

        Raises:
            StoreAway: its origin, or the disk for staging, can't be used now.
            MediaError: its origin does not give it.
            InvalidReferenceError: it is nothing that any service makes.
        """
        match parse(reference):
            case Stored():
                yield Local(self._store.path(reference))
            case Imported(path):
                folder = self._import_dir
                if folder is None:
                    raise StoreAway("MARQUEE_IMPORT_DIR is not set here")
                yield Local(folder / path, lambda _path, _flags: open_below(folder, path))
            case Url() | Object() as elsewhere:
                staged = self._store.incoming(f"{new_id()}.staged")
                try:
                    yield await self._stage(elsewhere, staged)
                finally:
                    await asyncio.to_thread(staged.unlink, missing_ok=True)

    async def complete(self, local: Local) -> None:
        """Fetches all of a staged film.

        Raises:
            StoreAway: its origin, or the disk for staging, can't be used now.
            MediaError: it is too large, or its origin does not give it.
        """
        if local.remote is None:
            return
        size = local.remote.info.size
        if size > self._staging_max_bytes:
            raise MediaError.of(domain.TOO_LARGE_TO_STAGE)
        await _fetch(local.remote, local.path, [range(HEAD_BYTES, size - TAIL_BYTES)])
        local.is_whole = True

    async def _stage(self, reference: Url | Object, path: Path) -> Local:
        try:
            remote = await self._origins.open(reference)
        except OriginError as error:
            raise _told(error) from error
        size = remote.info.size
        is_whole = size <= HEAD_BYTES + TAIL_BYTES
        places = [range(size)] if is_whole else [range(HEAD_BYTES), range(size - TAIL_BYTES, size)]
        await _fetch(remote, path, places)
        log.info("original_staged", bytes=sum(map(len, places)), size=size)
        local = Local(path, is_whole=is_whole, remote=remote)
        if not is_whole and not await asyncio.to_thread(_shows_its_index, path, places):
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
        raise _told(error) from error
    except OSError as error:
        raise StoreAway(f"a film can't be staged: {error}") from error


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


def _shows_its_index(path: Path, places: list[range]) -> bool:
    """Whether a staged file is one of boxes (ISO/IEC 14496-12, 4.2) with a whole `moov`, and without fragments.

    Bytes behind a complete film that are no box don't matter.
    Only headers are read here; what is in the boxes is for the confined process.
    """
    size = places[-1].stop
    has_index = has_media = False
    with path.open("rb") as file:
        at = 0
        for _ in range(_MAX_BOXES):
            if at == size:
                return has_index
            file.seek(at)
            header = file.read(_HEADER_BYTES)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:], "big")
            elif length == 0:
                length = size - at
            if not _SHORTEST_BOX <= length <= size - at:
                return has_index and has_media and kind not in _FILM_BOXES
            if kind not in _PLAIN_BOXES:
                return False
            has_media = has_media or kind == b"mdat"
            if kind == b"moov":
                has_index = any(at in place and at + length - 1 in place for place in places)
                if not has_index:
                    return False
            at += length
    return False


def _make(path: Path, size: int) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.truncate(descriptor, size)
    return descriptor


def _told(error: OriginError) -> StoreAway | MediaError:
    log.warning("origin_unavailable", reason=str(error))
    if isinstance(error, OriginInterruptedError | OriginChangedError):
        return StoreAway(str(error))
    return MediaError.of(domain.ORIGIN_REFUSES)
