"""Trim movies at a key frame: all tracks begin at the same time, with the timing between them unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

from mp4.boxes import Box, BoxPart, Container, children, need
from mp4.chapters import UNITS_PER_SEC, chapters_since
from mp4.columns import I32_MAX
from mp4.errors import StartBeyondEndError, UnsupportedMediaError
from mp4.h264 import idr_filter
from mp4.layout import GAP_BYTES, Payload, header_bytes, payload_of
from mp4.structure import check_no_items
from mp4.track import Track, scaled, with_duration

_MVHD_BYTES = (100, 112)
"""Length of the body of a `mvhd` of version 0 and 1."""
_PRE_DEFINED = slice(-28, -4)
"""Bytes of a `mvhd` that hold times of previews and selections in QuickTime."""


@dataclass(frozen=True, slots=True)
class StartPoint:
    """A time at which a movie can be begun."""

    time: int
    """When the key frame is shown, in units of the movie's timescale; 0: the whole movie."""
    first_ms: int
    until_ms: int
    """Requested times in milliseconds that lead to this start: from `first_ms` up to, not including, `until_ms`."""


class Movie:
    """The contents of a `moov` box.

    Times are in units of 1/`scale` s, in which the movie's and the leading track's times are whole numbers.

    Args:
        moov: the box.
        fd: the open file.
        file_size: its length in bytes.

    Raises:
        UnsupportedMediaError: the movie can't be trimmed.
    """

    def __init__(self, moov: Box, fd: int, file_size: int) -> None:
        self._boxes = children(moov.body)
        if any(box.kind == b"mvex" for box in self._boxes):
            raise UnsupportedMediaError("fragmented")
        for box in self._boxes:
            check_no_items(box)
        self._header = need(self._boxes, b"mvhd")
        version = min(self._header.version, 1)
        self._header.part(0, _MVHD_BYTES[version])
        movie_scale = self._header.number(20 if version else 12)
        if movie_scale == 0:
            raise UnsupportedMediaError("no timescale")
        tracks = [Track.read(box, movie_scale) for box in self._boxes if box.kind == b"trak"]
        for track in tracks:
            track.samples.check(file_size)
        leading = _leading(tracks)
        common = lcm(movie_scale, leading.scale)
        self.scale = common if common <= I32_MAX else leading.scale
        self._tracks = [track.rescaled(self.scale) for track in tracks]
        self._leading = self._tracks[tracks.index(leading)]
        self._fd = fd
        self._file_size = file_size

    @property
    def duration_ms(self) -> int:
        """Duration of pictures and sound in milliseconds, rounded up."""
        longest = max(track.duration for track in self._tracks if track.handler in {b"vide", b"soun"})
        return -(-longest * 1000 // self.scale)

    def start_point(self, start_ms: int) -> StartPoint:
        """Return the key frame that is shown at or before a requested time, both rounded to the millisecond.

        Raises:
            StartBeyondEndError: the movie is shorter than that.
            OSError: the store failed.
        """
        duration_ms = self.duration_ms
        if start_ms >= duration_ms:
            raise StartBeyondEndError(duration_ms)
        # The time of a key frame rounded to milliseconds selects that key frame.
        latest = ((2 * start_ms + 1) * self.scale - 1) // 2000
        accept = idr_filter(self._leading.samples, self._fd)
        time = max(0, self._leading.last_key(latest, accept) or 0)
        following = self._leading.next_key(time, accept)
        return StartPoint(
            time=time,
            first_ms=min(start_ms, self._milliseconds(time)) if time else 0,
            until_ms=duration_ms if following is None else max(start_ms + 1, self._milliseconds(following)),
        )

    def _milliseconds(self, time: int) -> int:
        return (2000 * time - self.scale) // (2 * self.scale) + 1

    def trim_from(self, time: int, file_type: bytes | memoryview) -> tuple[bytes, Payload]:
        """Return header and payload of the movie from a time on.

        Args:
            time: the time of a key frame of the leading track.
            file_type: the `ftyp` box, or empty.

        Raises:
            UnsupportedMediaError: samples are outside the file, or a number does not fit.
        """
        kept: dict[int, Track] = {}
        for place, track in enumerate(self._tracks):
            # Hint tracks for servers (chapter 9) refer to samples of other tracks by number.
            left = None if track.handler == b"hint" else track.since(time)
            if left:
                kept[place] = left
        stretches: list[tuple[int, int]] = []
        for track in kept.values():
            stretches += track.samples.chunks.stretches(track.samples.sizes, GAP_BYTES)
        if max(end for _, end in stretches) > self._file_size:
            raise UnsupportedMediaError("samples outside the file")
        payload = payload_of(stretches)
        moov = self._moov(kept, payload, time)
        return header_bytes(file_type, moov, payload.size, wrap=True), payload

    def _moov(self, kept: dict[int, Track], payload: Payload, time: int) -> Container:
        dropped = {track.number for place, track in enumerate(self._tracks) if place not in kept}
        duration = max(track.duration for track in kept.values())
        parts: list[BoxPart] = []
        place = 0
        for box in self._boxes:
            match box.kind:
                case b"mvhd":
                    header = bytearray(with_duration(box, duration, at=16, scale=self.scale))
                    header[_PRE_DEFINED] = bytes(24)
                    parts.append(bytes(header))
                case b"trak":
                    if track := kept.get(place):
                        parts.append(track.to_box(payload, dropped))
                    place += 1
                case b"udta":
                    parts.append(chapters_since(box, scaled(time, self.scale, UNITS_PER_SEC)))
                case _:
                    parts.append(box.raw)
        return Container(b"moov", parts)


def _leading(tracks: Sequence[Track]) -> Track:
    """Return the track at whose key frames the movie can be trimmed: the first video track, or else audio track.

    Enabled tracks are preferred; empty tracks and chapter tracks don't count.

    Raises:
        UnsupportedMediaError: there is neither.
    """
    chapters = {number for track in tracks for number in track.chapters}
    for handler in (b"vide", b"soun"):
        found = [t for t in tracks if t.handler == handler and t.samples.count and t.number not in chapters]
        if found:
            return max(found, key=lambda track: track.is_enabled)
    raise UnsupportedMediaError("neither pictures nor sound")
