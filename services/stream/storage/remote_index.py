"""Fetch the index of a film on another machine box by box, without its pictures and sound, into a sparse file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import BinaryIO, Final

from mp4 import Structure, UnsupportedMediaError, structure
from mp4.boxes import HEADER, LARGE_HEADER, read_header
from mp4.structure import MAX_MOOV_BYTES, MAX_PREFIX_BYTES
from services.stream.storage.virtual_file_cache import Identity

MAX_BOXES: Final = 64
"""Outermost boxes of one file: each takes a request."""
_FRAGMENTS: Final = frozenset({b"moof", b"styp", b"sidx"})

Blocks = Callable[[int, int], AsyncGenerator[bytes, None]]


class RemoteIndex:
    """A sparse file as long as the original, with what was fetched of it at its place. It needs no closing.

    Args:
        size: of the original.
        identity: the state of the original.
    """

    def __init__(self, size: int, identity: Identity) -> None:
        self.size = size
        self.identity = identity
        self._file = _sparse_file(size)

    def fileno(self) -> int:
        """Return its descriptor, valid for as long as this object is held."""
        return self._file.fileno()

    async def fill(self, blocks: Blocks, span: range) -> bytes:
        """Fetch a part of the original, and return it. Raises OSError."""
        got = bytearray()
        async with aclosing(blocks(span.start, len(span))) as body:
            async for block in body:
                got += block
        os.pwrite(self._file.fileno(), got, span.start)
        return bytes(got)


async def fetch_outline(index: RemoteIndex, blocks: Blocks) -> Structure:
    """Fetch the headers of a file's outermost boxes; return where the boxes lie.

    Raises:
        UnsupportedMediaError: it is no ISO base media file.
        OSError: the original can't be read.
    """
    size = index.size
    # Most files need no other request: `moov` comes first, or one `mdat` is all that is before it.
    beginning = await index.fill(blocks, range(min(size, MAX_PREFIX_BYTES)))
    at = 0
    for _ in range(MAX_BOXES):
        if size - at < HEADER:
            break
        head = beginning[at : at + LARGE_HEADER]
        if at + LARGE_HEADER > len(beginning):
            head = await index.fill(blocks, range(at, min(size, at + LARGE_HEADER)))
        header = read_header(head, size - at)
        if header is None or header[0] in _FRAGMENTS:
            break
        at += header[2]
    else:
        raise UnsupportedMediaError("too many boxes for a remote file")
    return structure(index.fileno(), size)


async def fetch_boxes(index: RemoteIndex, blocks: Blocks, found: Structure) -> None:
    """Fetch what the virtual file from the beginning of the film is made of.

    Raises:
        UnsupportedMediaError: that is too large.
        OSError: the original can't be read.
    """
    if found.is_fast_start:
        return
    if len(found.moov) > MAX_MOOV_BYTES or found.file_type.stop > MAX_PREFIX_BYTES:
        raise UnsupportedMediaError("a large index")
    await index.fill(blocks, found.moov)


def _sparse_file(size: int) -> BinaryIO:
    # In memory where the system has such files: only what is written takes room.
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("marquee-index", os.MFD_CLOEXEC), "w+b", buffering=0)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - kept open for as long as it is of use
    file.truncate(size)
    return file
