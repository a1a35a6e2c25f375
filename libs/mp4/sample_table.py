"""Read, query and trim the samples of a track: the whole sample table box (ISO/IEC 14496-12, 8.5.1)."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mp4.boxes import Box, BoxPart, Container, children, full_box, need, only
from mp4.columns import I32_MAX, Numbers, rows_of, shifted, unpacked
from mp4.errors import UnsupportedMediaError
from mp4.layout import ChunkOffsets, Payload
from mp4.sample_boxes import Chunks, Runs, Sizes, Times, read_sample_numbers

_ENCRYPTED = {b"encv", b"enca", b"enct", b"encs", b"encu", b"encm", b"drmi", b"drms", b"drmt"}
_ROLL_BYTES = 2
_U16 = 2**16
_MAX_ROLL = 64
"""Most samples to decode before one. Opus needs 4, AAC 1."""

SyncFilter = Callable[[int], bool]
"""Whether a sync sample is accepted."""


def accept_all(_sample: int) -> bool:
    """Accept every sync sample."""
    return True


@dataclass(frozen=True, slots=True)
class Samples:
    """A sample table. Times are in units of the media's timescale, and samples are numbered from 0.

    Other tables are dropped when trimming: shadow sync samples, degradation priorities, padding bits, sub-samples, the
    range of composition times. None is needed for playing, and each refers to samples by number or to the whole.
    """

    description: Box
    times: Times
    offsets: Runs | None
    """Composition minus decoding times (8.6.1.3); signed in both versions, as writers and players treat them."""
    offsets_version: int
    sizes: Sizes
    chunks: Chunks
    sync: Numbers | None
    """Samples that decoding may begin with; None: all of them."""
    partial_sync: Numbers | None
    """QuickTime's `stps`."""
    dependencies: memoryview | None
    """The rows of `sdtp` (8.6.4)."""
    groups: tuple[tuple[Box, Runs], ...]
    """Each `sbgp` (8.9.2)."""
    group_descriptions: tuple[Box, ...]

    @classmethod
    def read(cls, stbl: Box) -> Samples:
        """Read a sample table box.

        Raises:
            UnsupportedMediaError: a table is missing, or tables contradict each other.
        """
        boxes = children(stbl.body)
        sizes = Sizes.read(need(boxes, b"stsz", b"stz2"))
        durations = Runs.read(need(boxes, b"stts"))
        chunks = Chunks.read(need(boxes, b"stsc"), need(boxes, b"stco", b"co64"))
        ctts = only(boxes, b"ctts")
        offsets = Runs.read(ctts, signed=True) if ctts else None
        counts = {sizes.samples, durations.samples, chunks.samples, offsets.samples if offsets else sizes.samples}
        if len(counts) > 1:
            raise UnsupportedMediaError("tables for different numbers of samples")
        stss, stps, sdtp = only(boxes, b"stss"), only(boxes, b"stps"), only(boxes, b"sdtp")
        return cls(
            description=need(boxes, b"stsd"),
            times=Times(durations),
            offsets=offsets,
            offsets_version=ctts.version if ctts else 0,
            sizes=sizes,
            chunks=chunks,
            sync=read_sample_numbers(stss, sizes.samples) if stss else None,
            partial_sync=read_sample_numbers(stps, sizes.samples) if stps else None,
            dependencies=sdtp.part(4, sizes.samples) if sdtp else None,
            groups=tuple((box, Runs.read(box, 12 if box.version else 8)) for box in boxes if box.kind == b"sbgp"),
            group_descriptions=tuple(box for box in boxes if box.kind == b"sgpd"),
        )

    def check(self, file_size: int) -> None:
        """Check cheaply that the samples can be played and lie within a file of `file_size` bytes.

        Raises:
            UnsupportedMediaError: they are encrypted, or outside the file.
        """
        if any(box.kind in _ENCRYPTED for box in children(self.description.part(8, len(self.description.body) - 8))):
            raise UnsupportedMediaError("encrypted")
        if max(self.chunks.offsets, default=0) > file_size or self.sizes.uniform * self.count > file_size:
            raise UnsupportedMediaError("samples outside the file")

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.sizes.samples

    def shown_at(self, sample: int) -> int:
        """Return the composition time of a sample."""
        return self.times.of(sample) + (self.offsets.at(sample) if self.offsets else 0)

    @property
    def end(self) -> int:
        """End of the sample that is shown last; with reordering, that is not the sum of the durations."""
        if self.offsets is None:
            return self._decoded_until(self.count) if self.count else 0
        # Within a run the last sample ends last. Go backwards until no earlier run can end later.
        latest, highest = 0, max(self.offsets.values, default=0)
        for until, offset in zip(reversed(self.offsets.ends), reversed(self.offsets.values), strict=True):
            decoded = self._decoded_until(until)
            if decoded + highest < latest:
                break
            latest = max(latest, decoded + offset)
        return latest

    def _decoded_until(self, sample: int) -> int:
        """Return when the sample before one ends. Some writers give the last one no duration; it is shown anyway."""
        return max(self.times.of(sample), self.times.of(max(0, sample - 1)) + 1)

    @property
    def is_simple(self) -> bool:
        """Whether each sample is shown when it is decoded, and can be decoded without others."""
        return self.sync is None and self.offsets is None

    def _sync(self) -> Sequence[int]:
        return range(self.count) if self.sync is None else self.sync

    def last_sync(self, time: int, accept: SyncFilter = accept_all) -> int | None:
        """Return the last accepted sync sample that is shown at or before a time, or None."""
        if self.is_simple and accept is accept_all:
            return self.times.sample_at(time) if self.count and time >= 0 else None
        sync = self._sync()
        place = bisect_right(sync, time, key=self.shown_at)
        return next(filter(accept, (sync[n] for n in range(place - 1, -1, -1))), None)

    def next_sync(self, time: int, accept: SyncFilter = accept_all) -> int | None:
        """Return the first accepted sync sample that is shown at or after a time, or None."""
        sync = self._sync()
        place = bisect_left(sync, time, key=self.shown_at)
        return next(filter(accept, (sync[n] for n in range(place, len(sync)))), None)

    @property
    def roll(self) -> int:
        """Number of samples that must be decoded before one to have it right (10.1), according to the file."""
        deepest = 0
        for box in self.group_descriptions:
            if bytes(box.part(4, 4)) == b"roll" and (
                box.version == 0 or (box.version == 1 and box.number(8) == _ROLL_BYTES)
            ):
                distances = unpacked("H", box.rows(12 if box.version else 8, _ROLL_BYTES))
                # Negative distances, in two's complement, count the samples to decode before.
                deepest = max(deepest, *(_U16 - distance for distance in distances if distance > _U16 // 2), 0)
        return min(deepest, _MAX_ROLL)

    def since(self, sample: int, later: int = 0) -> Samples:
        """Return the samples from one on, which is then decoded at 0; all are shown later by `later`.

        Raises:
            UnsupportedMediaError: a composition offset would not fit into 32 bits.
        """
        offsets = self.offsets.since(sample) if self.offsets else None
        if offsets and later:
            if max(offsets.values) + later > I32_MAX:
                raise UnsupportedMediaError("composition offsets out of range")
            offsets = Runs(offsets.counts, array("i", (value + later for value in offsets.values)))
        return replace(
            self,
            times=Times(self.times.durations.since(sample)),
            offsets=offsets,
            sizes=self.sizes.since(sample),
            chunks=self.chunks.since(sample, self.sizes),
            sync=_numbers_since(self.sync, sample),
            partial_sync=_numbers_since(self.partial_sync, sample),
            dependencies=self.dependencies[sample:] if self.dependencies is not None else None,
            groups=tuple((box, runs.since(sample)) for box, runs in self.groups),
        )

    def place(self, sample: int) -> range:
        """Return the byte range of a sample in the file."""
        offset = self.chunks.offset(sample, self.sizes)
        return range(offset, offset + self.sizes.total(sample, sample + 1))

    def begun(self, passed: int) -> Samples:
        """Return the samples with the first one shortened by `passed`. Only for simple samples (`is_simple`)."""
        durations = self.times.durations
        # This leaves no empty run: FFmpeg takes a run of 0 samples for one of 1.
        rest = durations.since(1)
        counts = array("I", (1,)) + rest.counts
        values = array("I", (durations.values[0] - passed,)) + rest.values
        return replace(self, times=Times(Runs(counts, values)))

    def box(self, payload: Payload) -> Container:
        """Return the sample table box for a virtual file with this payload."""
        parts: list[BoxPart] = [self.description.raw, full_box(b"stts", 0, self.times.durations.rows())]
        if self.offsets:
            parts.append(full_box(b"ctts", self.offsets_version, self.offsets.rows()))
        for kind, numbers in ((b"stss", self.sync), (b"stps", self.partial_sync)):
            if numbers is not None:
                rows = rows_of(shifted(numbers, 1))
                parts.append(full_box(kind, 0, len(numbers).to_bytes(4, "big"), rows))
        if self.dependencies is not None:
            parts.append(full_box(b"sdtp", 0, self.dependencies))
        parts.append(full_box(b"stsc", 0, self.chunks.rows()))
        parts.append(full_box(b"stsz", 0, self.sizes.fields()))
        parts.append(ChunkOffsets(self.chunks.offsets, payload))
        parts += [box.raw for box in self.group_descriptions]
        for box, runs in self.groups:
            kinds = box.part(4, 8 if box.version else 4)
            parts.append(full_box(b"sbgp", box.version, kinds, runs.rows()))
        return Container(b"stbl", parts)


def _numbers_since(numbers: Numbers | None, sample: int) -> Numbers | None:
    if numbers is None:
        return None
    return shifted(numbers[bisect_left(numbers, sample) :], -sample)
