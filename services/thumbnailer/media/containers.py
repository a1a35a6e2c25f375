"""Recognise containers and cut-off files by their first bytes and box headers. Part of the confined child."""

from __future__ import annotations

import os
from itertools import islice
from typing import Final

from mp4.errors import NotABoxError, TruncatedBoxError
from mp4.top_level import top_level_boxes
from services.thumbnailer.media.errors import UnusableFileError

MAX_BOXES: Final = 100_000

BOXED: Final = {"mp4", "quicktime"}
"""Containers that are made of boxes (ISO/IEC 14496-12)."""
_PICTURE_BRANDS = set(b"avif avis heic heix heim heis hevc hevx mif1 msf1".split()) | {b"crx "}
_FIRST_BOXES = set(b"ftyp styp moov mdat moof sidx free skip wide pnot pdin uuid".split())
_MEDIA_BOXES = {b"mdat", b"moof"}
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_TS_PACKET = 188


def sniff(head: bytes) -> str:
    """Return the container that a file begins: `mp4`, `quicktime`, `webm` or `matroska`.

    File names prove nothing, and FFmpeg's own detection knows playlists and scripts, which make it open more files.

    Args:
        head: the first 1024 bytes or so.

    Raises:
        UnusableFileError: NOT_A_VIDEO or UNSUPPORTED_CONTAINER.
    """
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in _PICTURE_BRANDS:
            raise UnusableFileError("NOT_A_VIDEO")
        return "quicktime" if brand == b"qt  " else "mp4"
    if head[4:8] in _FIRST_BOXES:
        # Before ISO/IEC 14496-12 there was no `ftyp`: a file without it is QuickTime, except for segments of MP4.
        return "mp4" if head[4:8] in {b"styp", b"moof", b"sidx"} else "quicktime"
    if head.startswith(_EBML):
        doctype = _ebml_doctype(head)
        if doctype in {"webm", "matroska"}:
            return doctype
        raise UnusableFileError("UNSUPPORTED_CONTAINER")
    if _is_other_video(head):
        raise UnusableFileError("UNSUPPORTED_CONTAINER")
    raise UnusableFileError("NOT_A_VIDEO")


def _is_other_video(head: bytes) -> bool:
    """Return whether this is AVI, FLV, Ogg, ASF, MPEG program stream, RealMedia, MXF or MPEG transport stream."""
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return True
    if head.startswith((b"FLV\x01", b"OggS", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\x00\x00\x01\xba", b".RMF")):
        return True
    if head.startswith(b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02"):
        return True
    return len(head) > 2 * _TS_PACKET and {head[0], head[_TS_PACKET], head[2 * _TS_PACKET]} == {0x47}


def _vint(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return an EBML variable-size integer (RFC 8794, section 4) and where it ends; all ones, "unknown", is -1.

    Raises:
        UnusableFileError: DAMAGED, as there is none at that place.
    """
    if at >= len(data) or data[at] == 0:
        raise UnusableFileError("DAMAGED")
    length = 9 - data[at].bit_length()
    raw = data[at : at + length]
    if len(raw) < length:
        raise UnusableFileError("DAMAGED")
    value = int.from_bytes(raw, "big")
    if keep_marker:
        return value, at + length
    mask = (1 << (7 * length)) - 1
    return (-1 if value & mask == mask else value & mask), at + length


def _ebml_doctype(head: bytes) -> str:
    """Return the DocType element of an EBML header (RFC 8794, section 11.2.6), or an empty text."""
    size, at = _vint(head, len(_EBML), keep_marker=False)
    end = min(len(head), at + size)
    while at < end:
        element, at = _vint(head, at, keep_marker=True)
        size, at = _vint(head, at, keep_marker=False)
        if element == 0x4282:  # noqa: PLR2004 - the id of DocType
            return head[at : at + min(size, 16)].rstrip(b"\0").decode("ascii", "replace")
        at += max(size, 0)
    return ""


def check_whole(fd: int, size: int, kind: str) -> None:
    """Check that no part of a file is missing.

    Raises:
        UnusableFileError: TRUNCATED; DAMAGED, or NOT_A_VIDEO where what follows the first box is no container at all.
    """
    if kind in BOXED:
        _check_boxes(fd, size)
    else:
        _check_segment(fd, size)


def _check_boxes(fd: int, size: int) -> None:
    """Check that the outermost boxes end inside the file; junk behind a complete film is tolerated, as players do."""
    seen: set[bytes] = set()
    try:
        for box in islice(top_level_boxes(fd, size), MAX_BOXES):
            seen.add(box.kind)
    except TruncatedBoxError:
        raise UnusableFileError("TRUNCATED") from None
    except NotABoxError:
        raise UnusableFileError("NOT_A_VIDEO" if seen <= {b"ftyp"} else "DAMAGED") from None
    if b"moov" not in seen or seen.isdisjoint(_MEDIA_BOXES):
        raise UnusableFileError("TRUNCATED")


def _check_segment(fd: int, size: int) -> None:
    """Check that a Matroska segment ends inside the file, if it says how long it is; live recordings don't."""
    head = os.pread(fd, 4096, 0)
    length, at = _vint(head, len(_EBML), keep_marker=False)
    at += max(length, 0)
    if head[at : at + len(_SEGMENT)] != _SEGMENT:
        raise UnusableFileError("TRUNCATED" if at + len(_SEGMENT) > size else "DAMAGED")
    length, at = _vint(head, at + len(_SEGMENT), keep_marker=False)
    if at + length > size:
        raise UnusableFileError("TRUNCATED")
