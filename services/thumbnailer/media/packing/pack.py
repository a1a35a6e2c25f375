"""Encrypt a stream of fragments into an LSV pack."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from lsv import ContentKey, Header, PackDescription, PackWriter
from lsv.errors import ChunkRefusedError, MalformedHeaderError, SourceChangedError, SpoolError
from lsv.layout import MAX_PLAINTEXT_BYTES
from services.thumbnailer.media.packing.chunks import join
from services.thumbnailer.media.packing.errors import PackingError
from services.thumbnailer.media.packing.fragments import FragmentStream
from services.thumbnailer.media.packing.init_segment import InitSegment


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


def _write(
    stream: FragmentStream, spool: Path, destination: Path, key: ContentKey, content_id: UUID, content_version: int
) -> Header:
    init = stream.read_init()
    with _open_writer(spool, init, key, content_id, content_version) as writer:
        writer.add_init(init.data)
        for chunk in join(stream.fragments(init), init.video.timescale, MAX_PLAINTEXT_BYTES):
            writer.add(chunk.data, duration=chunk.duration, begins_with_key_frame=chunk.begins_with_key_frame)
        return writer.finish(destination)


def _open_writer(spool: Path, init: InitSegment, key: ContentKey, content_id: UUID, content_version: int) -> PackWriter:
    """Go on with the spool if it is of this film, or begin a new one."""
    if spool.exists():
        try:
            return PackWriter.resume(spool, key, content_id=content_id, content_version=content_version)
        except SpoolError:
            shutil.rmtree(spool)
    description = PackDescription(
        content_id=content_id,
        content_version=content_version,
        pack_id=uuid.uuid4(),
        key_id=key.id,
        mime_type=init.mime_type,
        timescale=init.video.timescale,
    )
    return PackWriter.create(spool, description, key)
