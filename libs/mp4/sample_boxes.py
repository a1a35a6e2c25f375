"""Read sample tables (ISO/IEC 14496-12, 8.6.1, 8.7) in bulk, and trim them. Samples are numbered from 0 here."""

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
    """Run-length encoded values of samples.

    Args:
        counts: numbers of samples in the runs; 0 is possible.
        values: one for each run.
    """

    def __init__(self, counts: Numbers, values: Numbers) -> None:
        self.counts = counts
        self.values = values
        self.ends: Numbers = array("Q", accumulate(counts))
        """The sample after each run."""
        self.samples: int = self.ends[-1] if self.ends else 0
        """Number of samples in all runs."""

    @classmethod
    def read(cls, box: Box, at: int = 4, *, signed: bool = False) -> Runs:
        """Read rows of (count, value), whose number is at `at`. Raise UnsupportedMediaError if they are cut off."""
        rows = box.rows(at, 8)
        return cls(unpacked("I", rows)[0::2], unpacked("i" if signed else "I", rows)[1::2])

    def since(self, sample: int) -> Runs:
        """Return the runs from a sample on."""
        run = bisect_right(self.ends, sample)
        counts = self.counts[run:]
        if counts:
            counts[0] = self.ends[run] - sample
        return Runs(counts, self.values[run:])

    def at(self, sample: int) -> int:
        """Return the value of a sample, or the last value for a sample beyond all runs."""
        run = bisect_right(self.ends, sample)
        return self.values[min(run, len(self.values) - 1)] if self.values else 0

    def rows(self) -> bytes:
        """Return the number of rows and the rows, as they are written."""
        return len(self.counts).to_bytes(4, "big") + rows_of(self.counts, self.values)


class Times:
    """Decoding times (8.6.1.2).

    Args:
        durations: of the samples, in units of the media's timescale.

    Raises:
        UnsupportedMediaError: their sum is above `TIME_MAX`.
    """

    def __init__(self, durations: Runs) -> None:
        self.durations = durations
        if sum(map(mul, durations.counts, durations.values)) > TIME_MAX:
            raise UnsupportedMediaError("impossible duration")
        self._ends: Numbers = array("Q", accumulate(map(mul, durations.counts, durations.values)))
        self.end: int = self._ends[-1] if self._ends else 0

    def of(self, sample: int) -> int:
        """Return when a sample begins; for the number of samples, when the last one ends."""
        run = bisect_right(self.durations.ends, sample)
        if run == len(self._ends):
            return self.end
        return self._ends[run] - (self.durations.ends[run] - sample) * self.durations.values[run]

    def sample_at(self, time: int) -> int:
        """Return the last sample that has begun at a time, which must not be before the first sample."""
        run = bisect_right(self._ends, time)
        if run == len(self._ends):
            return max(0, self.durations.samples - 1)
        left = -(-(self._ends[run] - time) // self.durations.values[run])
        return self.durations.ends[run] - left


class Sizes:
    """Sizes of samples in bytes (8.7.3).

    Args:
        samples: number of samples.
        uniform: the size of all; 0 if they differ.
        each: the size of each; empty if uniform.
    """

    def __init__(self, samples: int, uniform: int, each: Numbers) -> None:
        self.samples = samples
        self.uniform = uniform
        self.each = each

    @classmethod
    def read(cls, box: Box) -> Sizes:
        """Read `stsz` or `stz2`. Raise UnsupportedMediaError if it is damaged."""
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
        """Return the sizes from a sample on."""
        return Sizes(self.samples - sample, self.uniform, self.each[sample:])

    def total(self, first: int, until: int) -> int:
        """Return the bytes of the samples from `first` up to, not including, `until`."""
        return self.uniform * (until - first) if self.uniform else sum(self.each[first:until])

    def before(self, samples: Numbers) -> Iterable[int]:
        """Yield, for each of these samples, the bytes of all samples before it."""
        if self.uniform:
            return (self.uniform * sample for sample in samples)
        return map(array("Q", accumulate(self.each, initial=0)).__getitem__, samples)

    @property
    def largest(self) -> int:
        """The size of the largest sample in bytes."""
        return self.uniform or max(self.each, default=0)

    def fields(self) -> bytes:
        """Return the fields of `stsz`."""
        table = b"" if self.uniform else rows_of(self.each)
        return self.uniform.to_bytes(4, "big") + self.samples.to_bytes(4, "big") + table


class Chunks:
    """Where samples are in the file: runs of chunks with equally many samples (8.7.4), and chunk offsets (8.7.5).

    Args:
        first: the first chunk of each run, numbered from 1.
        per_chunk: samples in each chunk of the run.
        description: index of the sample description of each run.
        offsets: of all chunks in the file, in bytes.
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
        """Number of samples in all chunks."""
        return self._ends[-1] if self._ends else 0

    @classmethod
    def read(cls, runs: Box, offsets: Box) -> Chunks:
        """Read `stsc` and `stco` or `co64`. Raise UnsupportedMediaError if they contradict each other."""
        table, places = unpacked("I", runs.rows(4, 12)), read_offsets(offsets)
        first, per_chunk = table[0::3], table[1::3]
        if len(places) and not len(first):
            raise UnsupportedMediaError("chunks of unknown size")
        if len(first) and (first[0] != 1 or first[-1] > len(places) or not is_rising(first) or 0 in per_chunk):
            raise UnsupportedMediaError("contradictory chunks")
        return cls(first, per_chunk, table[2::3], places)

    def _find(self, sample: int) -> tuple[int, int, int]:
        """Return the run and the chunk (from 0) of a sample, and the number of samples before it in that chunk."""
        run = bisect_right(self._ends, sample)
        begin = self._ends[run - 1] if run else 0
        passed, within = divmod(sample - begin, self.per_chunk[run])
        return run, self.first[run] - 1 + passed, within

    def offset(self, sample: int, sizes: Sizes) -> int:
        """Return the offset of a sample in the file in bytes; `sizes` are those of all samples."""
        _, chunk, within = self._find(sample)
        return self.offsets[chunk] + sizes.total(sample - within, sample)

    def since(self, sample: int, sizes: Sizes) -> Chunks:
        """Return the chunks from a sample on, which may be inside the first of them."""
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
        """Yield byte ranges (begin, end) of the file that chunks cover; those up to `gap` bytes apart are merged."""
        if is_rising(self.offsets) and max(map(sub, islice(self.offsets, 1, None), self.offsets), default=0) <= gap:
            # The usual case needs only the sizes of the last chunks: earlier ones can't end behind the last one.
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
        """Return the ends of chunks in the file, from chunk number `chunk` (counted from 0) on."""
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
        """Return the number of rows of `stsc`, and the rows."""
        return len(self.first).to_bytes(4, "big") + rows_of(self.first, self.per_chunk, self.description)


def read_offsets(box: Box) -> Numbers:
    """Read `stco` or `co64`. Raise UnsupportedMediaError if it is cut off."""
    return unpacked("Q", box.rows(4, 8)) if box.kind == b"co64" else unpacked("I", box.rows(4, 4))


def read_sample_numbers(box: Box, samples: int) -> Numbers:
    """Return the sample numbers in `stss` or `stps`, counted from 0.

    Raises:
        UnsupportedMediaError: they are not ascending, or there are no such samples.
    """
    numbers = unpacked("I", box.rows(4, 4))
    if len(numbers) and (numbers[0] == 0 or numbers[-1] > samples or not is_rising(numbers)):
        raise UnsupportedMediaError("contradictory sync samples")
    return shifted(numbers, -1)


def is_rising(numbers: Numbers) -> bool:
    """Return whether each number is larger than the one before."""
    return all(map(lt, numbers, islice(numbers, 1, None)))
