"""A slow, simple reader of MP4 files: every sample is an object, every table is read number by number.

It shares no code with what it judges.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"tref", b"udta"}
SPACE = 8


@dataclass
class Node:
    kind: bytes
    offset: int
    size: int
    body: bytes
    children: list[Node] = field(default_factory=list)

    def all(self, kind: str) -> list[Node]:
        return [child for child in self.children if child.kind == kind.encode()]

    def at(self, *path: str) -> Node:
        node = self
        for kind in path:
            (node,) = node.all(kind)
        return node

    def has(self, kind: str) -> bool:
        return bool(self.all(kind))

    def u32(self, place: int) -> int:
        return int(struct.unpack_from(">I", self.body, place)[0])


def parse(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[Node]:
    end = len(data) if end is None else end
    while begin < end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        header = SPACE
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin + SPACE)
            header = 2 * SPACE
        if size == 0:
            size = end - begin
        assert header <= size <= end - begin, f"{kind!r} of {size} bytes in {end - begin}"
        inside = begin + header, begin + size
        children = list(parse(data, *inside)) if kind in CONTAINERS else []
        yield Node(kind, begin, size, b"" if kind == b"mdat" else data[slice(*inside)], children)
        begin += size


def root(data: bytes) -> Node:
    return Node(b"file", 0, len(data), data, list(parse(data)))


@dataclass(frozen=True)
class Sample:
    offset: int
    size: int
    decoded: int
    shown: int
    duration: int
    sync: bool


@dataclass
class Track:
    number: int
    handler: str
    scale: int
    samples: list[Sample]
    edits: list[tuple[int, int, float]]
    """Duration in the movie's units, media time (-1: empty), rate."""
    header_duration: int
    node: Node

    @property
    def end(self) -> int:
        """Return when all has been shown; a sample without a duration is shown for one unit."""
        return max((sample.shown + max(1, sample.duration) for sample in self.samples), default=0)

    def shown(self, movie_scale: int, slack: int = 0) -> list[tuple[Fraction, int, Fraction]]:
        """When each sample begins to be shown: (time in seconds, number of the sample, end of its edit).

        Also those that miss an edit by up to `slack` units of the medium.
        """
        found = []
        start, more = Fraction(0), Fraction(slack, self.scale)
        edits = self.edits
        if not edits:
            last = self.end
            edits = [(-(-last * movie_scale // self.scale), 0, 1.0)]
        for duration, media_time, rate in edits:
            seconds = Fraction(duration, movie_scale)
            if duration == 0 and (duration, media_time, rate) == edits[-1]:
                seconds = Fraction(10**9)
            if media_time >= 0 and rate == 1:
                for number, sample in enumerate(self.samples):
                    passed = Fraction(sample.shown - media_time, self.scale)
                    if -more <= passed < seconds + more:
                        found.append((start + passed, number, start + seconds))
            start += seconds
        return found


@dataclass
class Movie:
    scale: int
    duration: int
    tracks: list[Track]
    root: Node

    def track(self, number: int) -> Track | None:
        return next((track for track in self.tracks if track.number == number), None)


def read_movie(data: bytes) -> Movie:
    top = root(data)
    moov = top.at("moov")
    mvhd = moov.at("mvhd")
    version = mvhd.body[0]
    scale, duration = struct.unpack_from(">IQ" if version else ">II", mvhd.body, 20 if version else 12)
    return Movie(scale, duration, [_track(trak) for trak in moov.all("trak")], top)


def _track(trak: Node) -> Track:
    tkhd, mdhd = trak.at("tkhd"), trak.at("mdia", "mdhd")
    if tkhd.body[0]:
        number, _, duration = struct.unpack_from(">IIQ", tkhd.body, 20)
    else:
        number, _, duration = struct.unpack_from(">III", tkhd.body, 12)
    edits = []
    if trak.has("edts"):
        elst = trak.at("edts", "elst")
        form = ">Qqhh" if elst.body[0] else ">Iihh"
        for place in range(elst.u32(4)):
            length, media_time, whole, part = struct.unpack_from(form, elst.body, 8 + place * struct.calcsize(form))
            edits.append((length, media_time, whole + part / 65536))
    return Track(
        number=number,
        handler=trak.at("mdia", "hdlr").body[8:12].decode("latin-1"),
        scale=mdhd.u32(20 if mdhd.body[0] else 12),
        samples=_samples(trak.at("mdia", "minf", "stbl")),
        edits=edits,
        header_duration=duration,
        node=trak,
    )


def _samples(stbl: Node) -> list[Sample]:
    sizes = _sizes(stbl)
    durations = _expanded(stbl.at("stts"), signed=False)
    offsets = _expanded(stbl.at("ctts"), signed=True) if stbl.has("ctts") else [0] * len(sizes)
    syncs = None
    if stbl.has("stss"):
        stss = stbl.at("stss")
        syncs = {stss.u32(8 + 4 * n) for n in range(stss.u32(4))}
    places = _places(stbl, sizes)
    assert len(sizes) == len(durations) == len(offsets) == len(places)
    samples = []
    decoded = 0
    for number, size in enumerate(sizes):
        shown = decoded + offsets[number]
        sync = syncs is None or number + 1 in syncs
        samples.append(Sample(places[number], size, decoded, shown, durations[number], sync))
        decoded += durations[number]
    return samples


def _sizes(stbl: Node) -> list[int]:
    if stbl.has("stsz"):
        stsz = stbl.at("stsz")
        if stsz.u32(4):
            return [stsz.u32(4)] * stsz.u32(8)
        return [stsz.u32(12 + 4 * n) for n in range(stsz.u32(8))]
    stz2 = stbl.at("stz2")
    bits, count = stz2.body[7], stz2.u32(8)
    number = int.from_bytes(stz2.body[12:], "big")
    total = 8 * len(stz2.body[12:])
    return [number >> (total - bits * (n + 1)) & (1 << bits) - 1 for n in range(count)]


def _expanded(table: Node, *, signed: bool) -> list[int]:
    values = []
    for row in range(table.u32(4)):
        count, value = struct.unpack_from(">Ii" if signed else ">II", table.body, 8 + 8 * row)
        assert count, "a run of no samples, of which readers think differently"
        values += [value] * count
    return values


def _places(stbl: Node, sizes: list[int]) -> list[int]:
    wide = stbl.has("co64")
    table = stbl.at("co64" if wide else "stco")
    chunks = [
        struct.unpack_from(">Q" if wide else ">I", table.body, 8 + n * (8 if wide else 4))[0]
        for n in range(table.u32(4))
    ]
    stsc = stbl.at("stsc")
    runs = [struct.unpack_from(">II", stsc.body, 8 + 12 * n) for n in range(stsc.u32(4))]
    places: list[int] = []
    for number, offset in enumerate(chunks, 1):
        per_chunk = [count for first, count in runs if first <= number][-1]
        place = offset
        for _ in range(per_chunk):
            places.append(place)
            place += sizes[len(places) - 1]
    return places
