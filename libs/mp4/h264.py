"""Find the sync samples of H.264 that are IDR pictures, as they should be (ISO/IEC 14496-15, 5.4.3.5).

Some encoders mark other pictures, which are followed by pictures that refer to earlier ones. A player that seeks to one
may recover, but Chromium's decoder fails for good, and a film that begins with one could not be played there at all.
"""

from __future__ import annotations

import os

from mp4.boxes import children
from mp4.errors import UnsupportedMediaError
from mp4.sample_table import Samples, SyncFilter, accept_all

_ENTRIES = {b"avc1", b"avc2", b"avc3", b"avc4"}
_ENTRY_FIELDS = 78
"""Bytes of a VisualSampleEntry (ISO/IEC 14496-12, 12.1.3) before its boxes."""
_LENGTH_SIZE_AT = 4
_MAX_UNITS = 64
"""Most NAL units read of a sample: only parameter sets and supplemental information come before the picture."""
_TYPE = 0x1F
_SLICES = range(1, 6)
_IDR = 5


def idr_filter(samples: Samples, fd: int) -> SyncFilter:
    """Return a function that says whether decoding can begin with a sync sample. It may raise OSError."""
    length_size = _length_size(samples)
    if length_size is None:
        return accept_all
    return lambda sample: _is_idr(fd, samples.place(sample), length_size)


def _length_size(samples: Samples) -> int | None:
    """Return the bytes of a length field in H.264 samples (ISO/IEC 14496-15, 5.3.3.1); None for other codecs."""
    try:
        for entry in children(samples.description.part(8, len(samples.description.body) - 8)):
            if entry.kind in _ENTRIES:
                fields = entry.part(_ENTRY_FIELDS, len(entry.body) - _ENTRY_FIELDS)
                for box in children(fields):
                    if box.kind == b"avcC":
                        return (box.number(_LENGTH_SIZE_AT, 1) & 3) + 1
    except UnsupportedMediaError:
        pass
    return None


def _is_idr(fd: int, place: range, length_size: int) -> bool:
    """Return whether the first slice of a sample belongs to an IDR picture (ITU-T H.264, 7.4.1)."""
    at = place.start
    for _ in range(_MAX_UNITS):
        head = os.pread(fd, length_size + 1, at)
        if len(head) <= length_size or at + length_size >= place.stop:
            return False
        if (kind := head[-1] & _TYPE) in _SLICES:
            return kind == _IDR
        at += length_size + int.from_bytes(head[:-1], "big")
    return False
