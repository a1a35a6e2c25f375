"""Edit lists (ISO/IEC 14496-12, 8.6.6), which map the movie's time to the media's time."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from mp4.boxes import Box, full_box
from mp4.columns import I32_MAX, TIME_MAX, U32_MAX
from mp4.errors import UnsupportedMediaError

MAX_EDITS = 10_000
_EMPTY = -1
_NORMAL_RATE, _DWELL_RATE = 0x0001_0000, 0


@dataclass(frozen=True, slots=True)
class Edit:
    """One entry of an edit list: a period of the movie."""

    duration: int
    """In units of the movie's timescale."""
    media_time: int | None
    """Media time at its beginning, in units of the media's timescale; None: an empty edit, which shows nothing."""
    dwells: bool = False
    """Whether one picture is shown all the time."""


def read_edits(elst: Box) -> list[Edit]:
    """Read an edit list as it is written: a duration of 0 in the last edit means "to the end of the media".

    Raises:
        UnsupportedMediaError: an edit plays at another speed or is damaged, or there are more than `MAX_EDITS`.
    """
    form = struct.Struct(">Qqi" if elst.version else ">Iii")
    edits: list[Edit] = []
    rows = elst.rows(4, form.size)
    if len(rows) > MAX_EDITS * form.size:
        raise UnsupportedMediaError("too many edits")
    for duration, media_time, rate in form.iter_unpack(rows):
        if not _EMPTY <= media_time <= TIME_MAX or duration > TIME_MAX or rate not in {_NORMAL_RATE, _DWELL_RATE}:
            raise UnsupportedMediaError("an edit at another speed, or a damaged one")
        empty = media_time == _EMPTY
        edits.append(Edit(duration, None if empty else media_time, dwells=rate == _DWELL_RATE and not empty))
    return edits


def write_edits(edits: Sequence[Edit]) -> bytes:
    """Return an edit list box, in version 1 only if its numbers need 64 bits."""
    wide = any(edit.duration > U32_MAX or (edit.media_time or 0) > I32_MAX for edit in edits)
    form = struct.Struct(">Qqi" if wide else ">Iii")
    rows = (
        form.pack(
            edit.duration,
            _EMPTY if edit.media_time is None else edit.media_time,
            _DWELL_RATE if edit.dwells else _NORMAL_RATE,
        )
        for edit in edits
    )
    return full_box(b"elst", int(wide), struct.pack(">I", len(edits)), *rows)
