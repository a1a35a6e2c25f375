"""Sample tables (ISO/IEC 14496-12, 8.6.1, 8.7): read in bulk, and cut. Samples are counted from 0 here."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import accumulate, chain, islice, pairwise
from operator import add, lt, mul, sub

from mp4.boxes import Box
from mp4.columns import TIME_MAX, U32_MAX, Numbers, rows_of, shifted, unpacked
from mp4.errors import UnsupportedMediaError


class Runs:
    """Values of samples, run by run: so many samples have this one, so many that.

    Args:
        counts: lengths of the runs; 0 is possible.
        values: one for each run.
    """

    def __init__(self, counts: Numbers, values: Numbers) -> None:
        self.counts = counts
        self.values = values
        self.ends: Numbers = array("Q", accumulate(counts))
        """The sample after each run."""
        self.samples: int = self.ends[-1] if self.ends else 0
        """How many samples it covers."""

    @classmethod
    def read(cls, box: Box, at: int = 4, *, signed: bool = False) -> Runs:
        """Reads rows of (count, value), whose number is at `at`. Raises UnsupportedMediaError."""
        rows = box.rows(at, 8)
        return cls(unpacked("I", rows)[0::2], unpacked("i" if signed else "I", rows)[1::2])

    def since(self, sample: int) -> Runs:
        """The runs from a sample on."""
        run = bisect_right(self.ends, sample)
        counts = self.counts[run:]
        if counts:
            counts[0] = self.ends[run] - sample
        return Runs(counts, self.values[run:])

    def at(self, sample: int) -> int:
        """The value of a sample, or the last one's when it is beyond all."""
        run = bisect_right(self.ends, sample)
        return self.values[min(run, len(self.values) - 1)] if self.values else 0

    def rows(self) -> bytes:
        """Their number and the rows, as they are written."""
        return len(self.counts).to_bytes(4, "big") + rows_of(self.counts, self.values)


class Times:
    """Decoding times (8.6.1.2).

    Args:
        durations: of the samples, in units of the media's timescale.

    Raises:
        UnsupportedMediaError: no medium lasts so long.
    """

    def __init__(self, durations: Runs) -> None:
        self.durations = durations
        if sum(map(mul, durations.counts, durations.values)) > TIME_MAX:
            raise UnsupportedMediaError("impossible duration")
        self._ends: Numbers = array("Q", accumulate(map(mul, durations.counts, durations.values)))
        self.end: int = self._ends[-1] if self._ends else 0

    def of(self, sample: int) -> int:
        """When a sample begins; for the number of samples, when the last one ends."""
        run = bisect_right(self.durations.ends, sample)
        if run == len(self._ends):
            return self.end
        return self._ends[run] - (self.durations.ends[run] - sample) * self.durations.values[run]

    def sample_at(self, time: int) -> int:
        """The last sample that has begun at a time that is not before the first one."""
        run = bisect_right(self._ends, time)
        if run == len(self._ends):
            return max(0, self.durations.samples - 1)
        left = -(-(self._ends[run] - time) // self.durations.values[run])
        return self.durations.ends[run] - left


class Sizes:
    """Sizes of samples in bytes (8.7.3).

    Args:
        samples: how many there are.
        uniform: the size of all; 0 when they differ.
        each: the size of each, unless uniform.
    """

    def __init__(self, samples: int, uniform: int, each: Numbers) -> None:
        self.samples = samples
        self.uniform = uniform
        self.each = each

    @classmethod
    def read(cls, box: Box) -> Sizes:
        """Reads `stsz` or `stz2`. Raises UnsupportedMediaError."""
        count, width = box.number(8), box.number(4)
        if box.kind == b"stsz":
            if width:
                return cls(count, width, array("I"))
            return cls(count, 0, unpacked("I", box.rows(8, 4)))
        if width == 16:  # noqa: PLR2004 - bits, as the two below
            return cls(count, 0, array("I", unpacked("H", box.rows(8, 2))))
        if width == 8:  # noqa: PLR2004
            return cls(count, 0, array("I", box.rows(8, 1)))
        if width == 4:  # noqa: PLR2004
            pairs = bytes(box.part(12, (count + 1) // 2)).hex()
            return cls(count, 0, array("I", (int(digit, 16) for digit in islice(pairs, count))))
        raise UnsupportedMediaError("impossible width of sample sizes")

    def since(self, sample: int) -> Sizes:
        """The sizes from a sample on."""
        return Sizes(self.samples - sample, self.uniform, self.each[sample:])

    def total(self, first: int, until: int) -> int:
        """Bytes of the samples from the one up to the other."""
        return self.uniform * (until - first) if self.uniform else sum(self.each[first:until])

    def before(self, samples: Numbers) -> Iterable[int]:
        """Bytes of all samples that come before each of these."""
        if self.uniform:
            return (self.uniform * sample for sample in samples)
        return map(array("Q", accumulate(self.each, initial=0)).__getitem__, samples)

    @property
    def largest(self) -> int:
        """The size of the largest sample."""
        return self.uniform or max(self.each, default=0)

    def fields(self) -> bytes:
        """The fields of `stsz`."""
        table = b"" if self.uniform else rows_of(self.each)
        return self.uniform.to_bytes(4, "big") + self.samples.to_bytes(4, "big") + table


class Chunks:
    """Where samples lie: runs of chunks that hold equally many (8.7.4), and the place of each chunk (8.7.5).

    Args:
        first: the first chunk of each run, counted from 1.
        per_chunk: samples in each chunk of the run.
        description: which sample description they have.
        offsets: of all chunks, in bytes.
    """

    def __init__(self, first: Numbers, per_chunk: Numbers, description: Numbers, offsets: Numbers) -> None:
        self.first = first
        self.per_chunk = per_chunk
        self.description = description
        self.offsets = offsets

    @cached_property
    def _ends(self) -> Numbers:
        """The sample after each run."""
        following = chain(islice(self.first, 1, None), (len(self.offsets) + 1,))
        return array("Q", accumulate(map(mul, map(sub, following, self.first), self.per_chunk)))

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return self._ends[-1] if self._ends else 0

    @classmethod
    def read(cls, runs: Box, offsets: Box) -> Chunks:
        """Reads `stsc` and `stco` or `co64`. Raises UnsupportedMediaError."""
        table, places = unpacked("I", runs.rows(4, 12)), read_offsets(offsets)
        first, per_chunk = table[0::3], table[1::3]
        if len(places) and not len(first):
            raise UnsupportedMediaError("chunks of unknown size")
        if len(first) and (first[0] != 1 or first[-1] > len(places) or not is_rising(first) or 0 in per_chunk):
            raise UnsupportedMediaError("contradictory chunks")
        return cls(first, per_chunk, table[2::3], places)

    def _find(self, sample: int) -> tuple[int, int, int]:
        """The run and the chunk that a sample is in, and how many come before it in that chunk."""
        run = bisect_right(self._ends, sample)
        begin = self._ends[run - 1] if run else 0
        passed, within = divmod(sample - begin, self.per_chunk[run])
        return run, self.first[run] - 1 + passed, within

    def offset(self, sample: int, sizes: Sizes) -> int:
        """Where a sample is in the file; `sizes` are those of all samples."""
        _, chunk, within = self._find(sample)
        return self.offsets[chunk] + sizes.total(sample - within, sample)

    def since(self, sample: int, sizes: Sizes) -> Chunks:
        """The chunks from a sample on, which may be within the first of them."""
        run, chunk, within = self._find(sample)
        per_chunk, description = self.per_chunk[run], self.description[run]
        offsets = self.offsets[chunk:]
        begun = self.offset(sample, sizes)
        if begun > U32_MAX:
            offsets = array("Q", offsets)
        offsets[0] = begun
        rows = [(1, per_chunk - within, description)]
        following = self.first[run + 1] if run + 1 < len(self.first) else len(self.offsets) + 1
        if within and following - chunk > 2:  # noqa: PLR2004 - the next chunk belongs to the run, too
            rows.append((2, per_chunk, description))
        first, per, descriptions = (array("I", column) for column in zip(*rows, strict=True))
        first.extend(shifted(self.first[run + 1 :], -chunk))
        return Chunks(first, per + self.per_chunk[run + 1 :], descriptions + self.description[run + 1 :], offsets)

    def stretches(self, sizes: Sizes, gap: int) -> Iterator[tuple[int, int]]:
        """The stretches (begin, end) of the file that the chunks cover; those up to `gap` bytes apart are one."""
        if is_rising(self.offsets) and max(map(sub, islice(self.offsets, 1, None), self.offsets), default=0) <= gap:
            # The usual case needs no sizes, but of the last chunks: earlier ones can't reach beyond the last one.
            reach = sizes.largest * max(self.per_chunk)
            ends = self._ends_from(bisect_left(self.offsets, self.offsets[-1] - reach), sizes)
            yield self.offsets[0], max(ends)
            return
        ends = self._ends_from(0, sizes)
        following = enumerate(zip(ends, islice(self.offsets, 1, None), strict=False), 1)
        breaks = [place for place, (end, begin) in following if not 0 <= begin - end <= gap]
        for first, after in pairwise([0, *breaks, len(ends)]):
            yield self.offsets[first], ends[after - 1]

    def _ends_from(self, chunk: int, sizes: Sizes) -> Numbers:
        """Where chunks end in the file, from one on, counted from 0."""
        run = bisect_right(self.first, chunk + 1) - 1
        passed = chunk + 1 - self.first[run]
        first = (self._ends[run - 1] if run else 0) + passed * self.per_chunk[run]
        begins = chain((first,), islice(self._ends, run, len(self._ends) - 1))
        per_chunk = islice(self.per_chunk, run, None)
        samples = array("Q", chain.from_iterable(map(range, begins, islice(self._ends, run, None), per_chunk)))
        rest = sizes.since(first)
        before = array("Q", rest.before(shifted(samples, -first)))
        before.append(rest.total(0, rest.samples))
        counts = map(sub, islice(before, 1, None), before)
        return array("Q", map(add, islice(self.offsets, chunk, None), counts))

    def rows(self) -> bytes:
        """The rows of `stsc`, with their number before them."""
        return len(self.first).to_bytes(4, "big") + rows_of(self.first, self.per_chunk, self.description)


def read_offsets(box: Box) -> Numbers:
    """Reads `stco` or `co64`. Raises UnsupportedMediaError."""
    return unpacked("Q", box.rows(4, 8)) if box.kind == b"co64" else unpacked("I", box.rows(4, 4))


def read_sample_numbers(box: Box, samples: int) -> Numbers:
    """Reads `stss` or `stps`: samples of a kind, counted from 0.

    Raises:
        UnsupportedMediaError: they are not in order, or there are no such samples.
    """
    numbers = unpacked("I", box.rows(4, 4))
    if len(numbers) and (numbers[0] == 0 or numbers[-1] > samples or not is_rising(numbers)):
        raise UnsupportedMediaError("contradictory sync samples")
    return shifted(numbers, -1)


def is_rising(numbers: Numbers) -> bool:
    """Whether each number is larger than the one before."""
    return all(map(lt, numbers, islice(numbers, 1, None)))
