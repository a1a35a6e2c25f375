"""Make small packs for the tests."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from lsv import ContentKey, PackDescription, PackReader, PackWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONTENT_ID = UUID("018f6e2a-0000-7000-8000-0000000000c0")
VERSION = 3
KEY = ContentKey(UUID("4a5e0f6c-1111-4111-8111-00000000000e"), bytes(range(32)))
DESCRIPTION = PackDescription(
    content_id=CONTENT_ID,
    content_version=VERSION,
    pack_id=UUID("5b1d7c3e-2222-4222-8222-0000000000fa"),
    key_id=KEY.id,
    mime_type='video/mp4; codecs="avc1.64001f"',
    timescale=90_000,
)
INIT = b"initialisation segment"


@dataclass(frozen=True)
class Piece:
    """A chunk to write."""

    plaintext: bytes
    duration: int = 180_000
    is_key: bool = True


PIECES = (Piece(b"first chunk"), Piece(b"other chunk", 90_000), Piece(b"a third, longer chunk", 45_000, is_key=False))


@dataclass
class BytesSource:
    """A pack in memory, which counts what is read of it."""

    data: bytes
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, count: int) -> bytes:
        self.reads.append((offset, count))
        return self.data[offset : offset + count]


def feed(writer: PackWriter, pieces: Sequence[Piece] = PIECES, init: bytes = INIT) -> None:
    """Give a writer everything."""
    writer.add_init(init)
    for piece in pieces:
        writer.add(piece.plaintext, duration=piece.duration, begins_with_key_frame=piece.is_key)


def make_pack(
    pieces: Sequence[Piece] = PIECES,
    description: PackDescription = DESCRIPTION,
    key: ContentKey = KEY,
    init: bytes = INIT,
    random: Callable[[int], bytes] = bytes,
) -> bytes:
    """Return a whole pack. Unless `random` is another, its nonces begin with eight zero bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with PackWriter.create(folder / "spool", description, key, random=random) as writer:
            feed(writer, pieces, init)
            writer.finish(folder / "pack")
        return (folder / "pack").read_bytes()


def open_pack(data: bytes, key: ContentKey = KEY, content_id: UUID = CONTENT_ID, version: int = VERSION) -> PackReader:
    """Open a pack in memory."""
    return PackReader.open(BytesSource(data), key, content_id=content_id, content_version=version)


def read_all(data: bytes, key: ContentKey = KEY, version: int = VERSION) -> list[bytes]:
    """Return the plaintext of every record."""
    reader = open_pack(data, key, version=version)
    return [reader.read(index) for index in range(len(reader.header.entries))]
