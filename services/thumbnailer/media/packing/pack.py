"""Encrypt a stream of fragments, or the content of another pack, into an LSV pack."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from lsv import ByteSource, ContentKey, Header, PackDescription, PackReader, PackWriter
from lsv.errors import (
    ChunkRefusedError,
    LsvError,
    MalformedHeaderError,
    SourceChangedError,
    SpoolError,
)
from lsv.layout import MAX_PLAINTEXT_BYTES
from services.thumbnailer.media.packing.chunks import join
from services.thumbnailer.media.packing.errors import PackingError
from services.thumbnailer.media.packing.fragments import FragmentStream


def write_pack(
    read: Callable[[int], bytes],
    spool: Path,
    destination: Path,
    key: ContentKey,
    *,
    content_id: UUID,
    content_version: int,
) -> Header:
    """Write the pack of a fragmented MP4, verified, and return its header. Only encrypted bytes reach a disk.

    After an interruption, call it again with the same spool, key and film: what is in the spool is compared, and stays.
    `read` blocks, and returns fewer bytes only at the end.

    Raises:
        PackingError: the film can't be packed; the spool is removed.
        SourceChangedError: the film is not the one of the interrupted run; the spool is removed, try again.
        OSError: the spool or the destination can't be written, or the film not be read; try again.
    """
    try:
        return _write(FragmentStream(read, MAX_PLAINTEXT_BYTES), spool, destination, key, content_id, content_version)
    except (ChunkRefusedError, MalformedHeaderError) as error:
        shutil.rmtree(spool, ignore_errors=True)
        raise PackingError(f"the film does not fit into a pack: {error}") from error
    except (PackingError, SourceChangedError):
        shutil.rmtree(spool, ignore_errors=True)
        raise


@dataclass(frozen=True, slots=True)
class PresentPack:
    """What opens the pack that a new one is made of."""

    key: ContentKey
    content_version: int


def rewrite_pack(
    source: ByteSource,
    present: PresentPack,
    spool: Path,
    destination: Path,
    key: ContentKey,
    *,
    content_id: UUID,
    content_version: int,
) -> Header:
    """Write a pack of what is in another one of the same content, verified, under another key; return its header.

    After an interruption, call it again with the same spool, key and pack.

    Raises:
        PackingError: the present pack is damaged, or another one; the spool is removed.
        SourceChangedError: the present pack is not the one of the interrupted run; the spool is removed, try again.
        OSError: the spool or the destination can't be written, or the present pack not be read; try again.
    """
    try:
        with _damaged():
            reader = PackReader.open(
                source, present.key, content_id=content_id, content_version=present.content_version
            )
        about = reader.header.description
        description = _description(key, content_id, content_version, about.mime_type, about.timescale)
        with _open_writer(spool, description, key) as writer:
            for index, entry in enumerate(reader.header.entries):
                with _damaged():
                    plaintext = reader.read(index)
                if index == 0:
                    writer.add_init(plaintext)
                else:
                    writer.add(plaintext, duration=entry.duration, begins_with_key_frame=entry.begins_with_key_frame)
            return writer.finish(destination)
    except (PackingError, SourceChangedError):
        shutil.rmtree(spool, ignore_errors=True)
        raise


@contextmanager
def _damaged() -> Iterator[None]:
    """Raise what reading a pack says about it as PackingError."""
    try:
        yield
    except LsvError as error:
        raise PackingError(f"the present pack can't be read: {error}") from error


def _write(
    stream: FragmentStream, spool: Path, destination: Path, key: ContentKey, content_id: UUID, content_version: int
) -> Header:
    init = stream.read_init()
    description = _description(key, content_id, content_version, init.mime_type, init.video.timescale)
    with _open_writer(spool, description, key) as writer:
        writer.add_init(init.data)
        for chunk in join(stream.fragments(init), init.video.timescale, MAX_PLAINTEXT_BYTES):
            writer.add(chunk.data, duration=chunk.duration, begins_with_key_frame=chunk.begins_with_key_frame)
        return writer.finish(destination)


def _description(
    key: ContentKey, content_id: UUID, content_version: int, mime_type: str, timescale: int
) -> PackDescription:
    """Describe a new pack."""
    return PackDescription(
        content_id=content_id,
        content_version=content_version,
        pack_id=uuid.uuid4(),
        key_id=key.id,
        mime_type=mime_type,
        timescale=timescale,
    )


def _open_writer(spool: Path, description: PackDescription, key: ContentKey) -> PackWriter:
    """Go on with the spool if it is of this content and version, or begin a new one."""
    if spool.exists():
        try:
            return PackWriter.resume(
                spool, key, content_id=description.content_id, content_version=description.content_version
            )
        except SpoolError:
            shutil.rmtree(spool)
    return PackWriter.create(spool, description, key)
