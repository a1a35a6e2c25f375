"""Read a stream of fragmented MP4 (ISO/IEC 14496-12, 8.8), one fragment at a time. Its bytes are untrusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from mp4.boxes import HEADER, Box, children, need, parse_header
from mp4.errors import UnsupportedMediaError
from services.thumbnailer.media.packing.errors import NeedsTranscodingError, PackingError
from services.thumbnailer.media.packing.init_segment import InitSegment, Track, parse_init

MAX_SAMPLES: Final = 50_000
"""Most samples of one track in one fragment: a second of any film has far fewer."""

_BASE_OFFSET, _DESCRIPTION, _DEFAULT_DURATION, _DEFAULT_SIZE, _DEFAULT_FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_DEFAULT_BASE_IS_MOOF = 0x02_0000
_DATA_OFFSET, _FIRST_FLAGS, _DURATION, _SIZE, _FLAGS, _COMPOSITION = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800
_NOT_SYNC = 0x0001_0000


@dataclass(frozen=True, slots=True)
class Fragment:
    """`moof` and `mdat`."""

    data: bytes
    start: int
    """When it begins, in ticks of the video track; may be negative."""
    end: Fraction
    """When its last sample ends, of whichever track, in seconds."""
    begins_with_key_frame: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """The samples of one track in one fragment, in ticks of that track."""

    track: Track
    first: int
    """Presentation time of the first sample."""
    earliest: int
    end: int
    is_sync: bool

    def seconds(self, time: int) -> Fraction:
        """Return a time of this track in seconds of the film."""
        return Fraction(time - self.track.media_time, self.track.timescale)


class FragmentStream:
    """The initialisation segment first, then fragments; memory for one of them."""

    def __init__(self, read: Callable[[int], bytes], max_bytes: int) -> None:
        """Take a blocking read, which returns fewer bytes only at the end, and the most bytes of a segment."""
        self._read = read
        self._max_bytes = max_bytes

    def read_init(self) -> InitSegment:
        """Return the initialisation segment.

        Raises:
            PackingError: there is none that can be packed.
        """
        parts: list[bytes] = []
        while (box := self._box(sum(map(len, parts)))) is not None:
            parts.append(bytes(box.raw))
            if box.kind == b"moov":
                try:
                    return parse_init(b"".join(parts), box)
                except UnsupportedMediaError as error:
                    raise PackingError(f"damaged initialisation segment: {error}") from error
            if box.kind != b"ftyp":
                break
        raise PackingError("no initialisation segment")

    def fragments(self, init: InitSegment) -> Iterator[Fragment]:
        """Yield the fragments in order.

        Raises:
            NeedsTranscodingError: one is larger than allowed.
            PackingError: the stream is damaged or cut off.
        """
        while (moof := self._box(0)) is not None:
            mdat = self._box(len(moof.raw)) if moof.kind == b"moof" else None
            if mdat is None or mdat.kind != b"mdat":
                raise PackingError("something else than fragments follows")
            try:
                yield _fragment(init, moof, mdat)
            except UnsupportedMediaError as error:
                raise PackingError(f"damaged fragment: {error}") from error

    def _box(self, before: int) -> Box | None:
        """Return the next box, or None at the end of the stream. `before` bytes count towards the limit."""
        head = self._read(HEADER)
        if not head:
            return None
        header = parse_header(head, 0)
        if header is None or header[1] != HEADER:
            raise PackingError("no box where one must be")
        kind, skip, size = header
        if before + size > self._max_bytes:
            raise NeedsTranscodingError(f"a segment of more than {self._max_bytes} bytes")
        raw = memoryview(head + self._read(size - skip))
        if len(raw) < size:
            raise PackingError("the stream is cut off")
        return Box(kind, raw, raw[skip:])


def _fragment(init: InitSegment, moof: Box, mdat: Box) -> Fragment:
    runs = [_run(init, children(box.body)) for box in children(moof.body) if box.kind == b"traf"]
    if not runs:
        raise PackingError("a fragment without samples")
    videos = [run for run in runs if run.track is init.video]
    leader = videos[0] if videos else runs[0]
    is_key = bool(videos) and leader.is_sync
    # Pictures shown before the key frame that they follow can't be decoded from here on.
    start = leader.seconds(leader.first if is_key else leader.earliest)
    return Fragment(
        data=b"".join((moof.raw, mdat.raw)),
        start=round(start * init.video.timescale),
        end=max(run.seconds(run.end) for run in runs),
        begins_with_key_frame=is_key,
    )


def _run(init: InitSegment, traf: list[Box]) -> _Run:
    header, times = need(traf, b"tfhd"), need(traf, b"tfdt")
    flags, track = header.number(0) & 0xFF_FFFF, init.tracks.get(header.number(4))
    if track is None or flags & _BASE_OFFSET or not flags & _DEFAULT_BASE_IS_MOOF:
        raise PackingError("a fragment of an unknown track, or with offsets in the file")
    at = 12 if flags & _DESCRIPTION else 8
    duration, sample_flags = track.default_duration, track.default_flags
    if flags & _DEFAULT_DURATION:
        duration, at = header.number(at), at + 4
    at += 4 if flags & _DEFAULT_SIZE else 0
    if flags & _DEFAULT_FLAGS:
        sample_flags = header.number(at)
    base = times.number(4, 8 if times.version else 4)
    samples = [sample for box in traf if box.kind == b"trun" for sample in _samples(box, duration, sample_flags)]
    if not 0 < len(samples) <= MAX_SAMPLES:
        raise PackingError("a fragment with no samples, or too many")
    shown: list[tuple[int, int]] = []
    for length, _, offset in samples:
        shown.append((base + offset, base + offset + length))
        base += length
    return _Run(
        track,
        first=shown[0][0],
        earliest=min(start for start, _ in shown),
        end=max(end for _, end in shown),
        is_sync=not samples[0][1] & _NOT_SYNC,
    )


def _samples(trun: Box, duration: int, flags: int) -> Iterator[tuple[int, int, int]]:
    """Yield duration, flags and composition offset of each sample of a run (8.8.8)."""
    present, count = trun.number(0) & 0xFF_FFFF, trun.number(4)
    if count > MAX_SAMPLES:
        raise PackingError("a fragment with too many samples")
    at = 12 if present & _DATA_OFFSET else 8
    first_flags = None
    if present & _FIRST_FLAGS:
        first_flags, at = trun.number(at), at + 4
    for index in range(count):
        length, own_flags, offset = duration, flags, 0
        if present & _DURATION:
            length, at = trun.number(at), at + 4
        at += 4 if present & _SIZE else 0
        if present & _FLAGS:
            own_flags, at = trun.number(at), at + 4
        if present & _COMPOSITION:
            offset, at = trun.number(at), at + 4
            # Version 1 has signed offsets; those of version 0 that are meant to be negative are not for browsers.
            if trun.version and offset >= 2**31:
                offset -= 2**32
        if index == 0 and first_flags is not None:
            own_flags = first_flags
        yield length, own_flags, offset
