"""Virtual fast start: a whole file with its index first."""

from __future__ import annotations

from mp4.boxes import Box, BoxPart, Container, children
from mp4.errors import UnsupportedMediaError
from mp4.layout import ChunkOffsets, Payload, header_bytes
from mp4.sample_boxes import read_offsets
from mp4.structure import MAX_PREFIX_BYTES, Structure, check_no_items, read
from mp4.track import check_references

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def with_index_first(fd: int, found: Structure, moov: Box) -> tuple[bytes, Payload]:
    """Return header and payload of a file whose `moov` comes last. Only the chunk offsets change.

    Raises:
        UnsupportedMediaError: the file has offsets of other kinds, which can't be changed here.
        OSError: the store failed.
    """
    if found.has_items:
        raise UnsupportedMediaError("untimed items")
    begin = found.file_type.stop
    before = read(fd, range(begin), MAX_PREFIX_BYTES)
    payload = Payload([(begin, found.moov.start), (found.moov.stop, found.size)])
    return header_bytes(before, _moved(moov, 0, payload), payload.size, wrap=False), payload


def _moved(box: Box, depth: int, payload: Payload) -> Container:
    boxes = children(box.body)
    if box.kind == b"minf":
        check_references(boxes)
    return Container(box.kind, [_moved_part(child, depth + 1, payload) for child in boxes])


def _moved_part(box: Box, depth: int, payload: Payload) -> BoxPart:
    if depth < len(_PATH) and box.kind == _PATH[depth]:
        return _moved(box, depth, payload)
    if depth == len(_PATH) and box.kind in {b"stco", b"co64"}:
        return ChunkOffsets(read_offsets(box), payload)
    if depth == len(_PATH) and box.kind == b"saio":
        raise UnsupportedMediaError("auxiliary information of samples")
    check_no_items(box)
    return box.raw
