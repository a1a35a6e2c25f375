"""Films cut at a key frame: what is shown from then on, in all tracks, moved to the beginning by the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

from mp4.boxes import Box, Container, Part, children, need
from mp4.chapters import UNITS_PER_SEC, chapters_since
from mp4.columns import I32_MAX
from mp4.errors import StartBeyondEndError, UnsupportedMediaError
from mp4.h264 import entrances
from mp4.layout import GAP_BYTES, Payload, header_bytes, payload_of
from mp4.structure import check_no_items
from mp4.track import Track, scaled, with_duration

_MVHD_BYTES = (100, 112)
"""Length of a `mvhd` of version 0 and 1."""
_PRE_DEFINED = slice(-28, -4)
"""In QuickTime, times of previews and selections in the movie."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a film can be begun."""

    time: int
    """When the key frame is shown, in units of the film's timescale; 0 stands for the whole."""
    first_ms: int
    until_ms: int
    """Asked times, in milliseconds, for which this is the place: from the one up to but not including the other."""


class Film:
    """What a `moov` says.

    Times are in units of `scale` a second, in which the movie's and the leading track's times are whole numbers.

    Args:
        moov: the box.
        fd: the file, open.
        file_size: its length in bytes.

    Raises:
        UnsupportedMediaError: it can't be cut.
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
        """How long pictures and sound last, in milliseconds, rounded up."""
        longest = max(track.duration for track in self._tracks if track.handler in {b"vide", b"soun"})
        return -(-longest * 1000 // self.scale)

    def place(self, start_ms: int) -> Place:
        """Where to begin for an asked time: at the key frame that is shown then or before, to the millisecond.

        Raises:
            StartBeyondEndError: the film is over by then.
            OSError: the store failed.
        """
        duration_ms = self.duration_ms
        if start_ms >= duration_ms:
            raise StartBeyondEndError(duration_ms)
        # A key frame's time rounded to milliseconds names that key frame.
        latest = ((2 * start_ms + 1) * self.scale - 1) // 2000
        accept = entrances(self._leading.samples, self._fd)
        time = max(0, self._leading.last_key(latest, accept) or 0)
        following = self._leading.next_key(time, accept)
        return Place(
            time=time,
            first_ms=min(start_ms, self._milliseconds(time)) if time else 0,
            until_ms=duration_ms if following is None else max(start_ms + 1, self._milliseconds(following)),
        )

    def _milliseconds(self, time: int) -> int:
        return (2000 * time - self.scale) // (2 * self.scale) + 1

    def since(self, time: int, file_type: bytes | memoryview) -> tuple[bytes, Payload]:
        """The header of the film from a time on, and the media that follow it.

        Args:
            time: when the leading track shows a key frame.
            file_type: the `ftyp` box, or nothing.

        Raises:
            UnsupportedMediaError: samples are outside the file, or a number does not fit.
        """
        kept: dict[int, Track] = {}
        for place, track in enumerate(self._tracks):
            # Hints for servers (chapter 9) name samples of other tracks by number.
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
        parts: list[Part] = []
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
    """The track whose key frames the film can be cut at: the first of pictures that plays, or else of sound.

    Raises:
        UnsupportedMediaError: there is none.
    """
    chapters = {number for track in tracks for number in track.chapters}
    for handler in (b"vide", b"soun"):
        found = [t for t in tracks if t.handler == handler and t.samples.count and t.number not in chapters]
        if found:
            return max(found, key=lambda track: track.is_enabled)
    raise UnsupportedMediaError("neither pictures nor sound")
