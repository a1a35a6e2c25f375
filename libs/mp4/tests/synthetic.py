"""Small movies of any shape, whose media describe themselves, and hypothesis strategies that draw them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st


def box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind.encode("latin-1")) + body


def full(kind: str, version: int, *parts: bytes, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def large(kind: str, body: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind.encode(), 16 + len(body)) + body


@dataclass(frozen=True)
class Frame:
    duration: int
    offset: int
    size: int
    sync: bool


@dataclass(frozen=True)
class Shape:
    """A track."""

    handler: str
    scale: int
    frames: tuple[Frame, ...]
    per_chunk: tuple[int, ...]
    """Samples in each chunk; the sum is the number of frames."""
    edits: tuple[tuple[int, int, int], ...] = ()
    ctts: int | None = None
    """Its version, if there is one."""
    stss: bool = False
    sizes: str = "stsz"
    wide: bool = False
    elst: int = 0
    headers: int = 0
    extras: bool = False
    """With tables of which some are dropped."""
    codec: str = "abcd"

    @property
    def payloads(self) -> list[bytes]:
        """Return the contents of samples: their track's handler and their number, padded."""
        return [
            (f"{self.handler}{number:06d}".encode() * 200)[: frame.size] for number, frame in enumerate(self.frames)
        ]


@dataclass(frozen=True)
class Script:
    """A whole file."""

    scale: int
    shapes: tuple[Shape, ...]
    moov_first: bool = False
    mdats: int = 1
    large_mdat: bool = False
    gap: int = 0
    """Unneeded bytes between chunks."""
    file_type: bool = True
    order: tuple[int, ...] = ()
    """Which track's next chunk comes next, as often as there are chunks; the rest in turn."""
    tail: bytes = b""


def runs(values: Sequence[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for value in values:
        if found and found[-1][1] == value:
            found[-1] = found[-1][0] + 1, value
        else:
            found.append((1, value))
    return found


def table(kind: str, version: int, rows: Sequence[tuple[int, ...]], form: str) -> bytes:
    return full(kind, version, struct.pack(">I", len(rows)), *(struct.pack(form, *row) for row in rows))


def write(script: Script) -> bytes:
    """Return the file's bytes."""
    file_type = box("ftyp", b"isom", bytes(4), b"isommp42") if script.file_type else b""
    queues = [_chunks(shape) for shape in script.shapes]
    order = [n for n in script.order if n < len(queues)]
    turn = 0
    layout: list[tuple[int, bytes]] = []
    while any(queues):
        track = order.pop(0) if order else turn % len(queues)
        turn += 1
        if queues[track]:
            layout.append((track, queues[track].pop(0)))
    share = -(-len(layout) // script.mdats) or 1
    parts = [layout[begin : begin + share] for begin in range(0, len(layout), share)]

    def build(base: int) -> tuple[bytes, list[list[int]]]:
        offsets: list[list[int]] = [[] for _ in script.shapes]
        media = b""
        for part in parts:
            body = b""
            header = 16 if script.large_mdat else 8
            for track, chunk in part:
                body += b"\xff" * script.gap
                offsets[track].append(base + len(media) + header + len(body))
                body += chunk
            media += large("mdat", body) if script.large_mdat else box("mdat", body)
        return media, offsets

    base = len(file_type)
    if script.moov_first:
        base += len(moov(script, build(0)[1]))
    media, offsets = build(base)
    index = moov(script, offsets)
    return file_type + (index + media if script.moov_first else media + index) + script.tail


def _chunks(shape: Shape) -> list[bytes]:
    payloads, found, begin = shape.payloads, [], 0
    for count in shape.per_chunk:
        found.append(b"".join(payloads[begin : begin + count]))
        begin += count
    return found


def moov(script: Script, offsets: list[list[int]]) -> bytes:
    tail = struct.pack(">IH10x36s24sI", 0x10000, 0x100, bytes(36), bytes(24), len(script.shapes) + 1)
    mvhd = full("mvhd", 0, struct.pack(">IIII", 0, 0, script.scale, 0), tail)
    traks = [trak(number, shape, offsets[number - 1]) for number, shape in enumerate(script.shapes, 1)]
    return box("moov", mvhd, *traks, box("udta", box("name", b"film")))


def trak(number: int, shape: Shape, offsets: list[int]) -> bytes:
    form = ">QQIIQ" if shape.headers else ">IIIII"
    tkhd = full("tkhd", shape.headers, struct.pack(form, 0, 0, number, 0, 0), bytes(60), flags=7)
    mdhd = full(
        "mdhd", shape.headers, struct.pack(">QQIQ" if shape.headers else ">IIII", 0, 0, shape.scale, 0), bytes(4)
    )
    hdlr = full("hdlr", 0, bytes(4), shape.handler.encode(), bytes(13))
    dinf = box("dinf", full("dref", 0, struct.pack(">I", 1), full("url ", 0, flags=1)))
    edts = b""
    if shape.edits:
        edts = box("edts", table("elst", shape.elst, shape.edits, ">Qqi" if shape.elst else ">Iii"))
    return box("trak", tkhd, edts, box("mdia", mdhd, hdlr, box("minf", dinf, stbl(shape, offsets))))


def stbl(shape: Shape, offsets: list[int]) -> bytes:
    frames = shape.frames
    parts = [full("stsd", 0, struct.pack(">I", 1), box(shape.codec, bytes(8)))]
    parts.append(table("stts", 0, runs([frame.duration for frame in frames]), ">II"))
    if shape.ctts is not None:
        parts.append(table("ctts", shape.ctts, runs([frame.offset for frame in frames]), ">Ii"))
    if shape.stss:
        parts.append(table("stss", 0, [(n,) for n, frame in enumerate(frames, 1) if frame.sync], ">I"))
    rows: list[tuple[int, int, int]] = []
    for chunk, per_chunk in enumerate(shape.per_chunk, 1):
        if not rows or rows[-1][1] != per_chunk:
            rows.append((chunk, per_chunk, 1))
    parts.append(table("stsc", 0, rows, ">III"))
    parts.append(sizes_of(shape))
    form = ">Q" if shape.wide else ">I"
    parts.append(table("co64" if shape.wide else "stco", 0, [(offset,) for offset in offsets], form))
    if shape.extras:
        parts.append(full("sdtp", 0, bytes(n % 251 for n in range(len(frames)))))
        parts.append(full("sgpd", 1, b"roll", struct.pack(">IIh", 2, 1, -3)))
        parts.append(full("sbgp", 0, b"roll", struct.pack(">I", 1), struct.pack(">II", len(frames), 1)))
        parts.append(full("stps", 0, struct.pack(">I", 1), struct.pack(">I", 1)) if frames else b"")
        parts.append(full("cslg", 0, bytes(20)))
    return box("stbl", *parts)


def sizes_of(shape: Shape) -> bytes:
    sizes = [frame.size for frame in shape.frames]
    count = struct.pack(">I", len(sizes))
    match shape.sizes:
        case "uniform":
            return full("stsz", 0, struct.pack(">I", sizes[0] if sizes else 1), count)
        case "16":
            return full("stz2", 0, struct.pack(">I", 16), count, struct.pack(f">{len(sizes)}H", *sizes))
        case "8":
            return full("stz2", 0, struct.pack(">I", 8), count, bytes(sizes))
        case "4":
            digits = "".join(f"{size:x}" for size in sizes)
            return full("stz2", 0, struct.pack(">I", 4), count, bytes.fromhex(digits + "0" * (len(digits) % 2)))
    return full("stsz", 0, bytes(4), count, *(struct.pack(">I", size) for size in sizes))


@st.composite
def shapes(draw: st.DrawFn, handler: str, movie_scale: int) -> Shape:
    count = draw(st.integers(1, 24))
    limit = {"stsz": 60, "uniform": 60, "16": 60, "8": 60, "4": 15}
    sizes = draw(st.sampled_from(sorted(limit)))
    scale = draw(st.sampled_from([600, 1000, 12800, 44100, 48000, 90000, 30000]))
    ctts = draw(st.sampled_from([None, 0, 1])) if handler == "vide" else None
    typical = draw(st.integers(1, scale // 10))
    uniform = draw(st.integers(2, 60))
    duration = st.one_of(st.just(typical), st.just(typical), st.integers(0, scale // 5))
    offset = st.integers(0 if ctts == 0 else -2, 4).map(lambda n: n * typical)
    frames = tuple(
        Frame(
            duration=draw(duration) if number else max(1, draw(duration)),
            offset=draw(offset) if ctts is not None else 0,
            size=uniform if sizes == "uniform" else draw(st.integers(0, limit[sizes])),
            sync=number == 0 or draw(st.integers(0, 3)) == 0,
        )
        for number in range(count)
    )
    # Some codecs of sound have key frames as well.
    stss = ctts is not None or draw(st.integers(0, 3 if handler != "vide" else 1)) == 0
    if stss:
        frames = _in_order(frames)
    per_chunk = []
    left = count
    while left:
        per_chunk.append(draw(st.integers(1, min(left, 5))))
        left -= per_chunk[-1]
    total = sum(frame.duration for frame in frames)
    return Shape(
        handler=handler,
        scale=scale,
        frames=frames,
        per_chunk=tuple(per_chunk),
        edits=draw(edit_lists(total, scale, movie_scale)),
        ctts=ctts,
        stss=stss,
        sizes=sizes,
        wide=draw(st.booleans()),
        elst=draw(st.sampled_from([0, 1])),
        headers=draw(st.sampled_from([0, 1])),
        extras=draw(st.booleans()),
    )


def _in_order(frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Drop sync samples that are shown before an earlier one."""
    kept, latest, time = [], -(10**9), 0
    for frame in frames:
        sync = frame.sync and time + frame.offset > latest
        if sync:
            latest = time + frame.offset
        kept.append(replace(frame, sync=sync))
        time += frame.duration
    return tuple(kept)


@st.composite
def edit_lists(draw: st.DrawFn, total: int, scale: int, movie_scale: int) -> tuple[tuple[int, int, int], ...]:
    length = max(1, total * movie_scale // scale)
    normal = 0x10000
    match draw(st.sampled_from(["none", "plain", "late", "late", "many"])):
        case "plain":
            return ((length, draw(st.integers(0, total)), normal),)
        case "late":
            return ((draw(st.integers(1, length)), -1, normal), (length, draw(st.integers(0, total // 2)), normal))
        case "many":
            edit = st.one_of(
                st.tuples(st.integers(1, length), st.integers(0, total), st.just(normal)),
                st.tuples(st.integers(1, length), st.integers(0, total), st.just(normal)),
                st.tuples(st.integers(1, length), st.just(-1), st.just(normal)),
                st.tuples(st.integers(1, length), st.integers(0, total), st.just(0)),
            )
            return tuple(draw(st.lists(edit, min_size=1, max_size=4)))
    return ()


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    scale = draw(st.sampled_from([600, 1000, 90000]))
    kinds = draw(
        st.sampled_from(["vide", "soun", "vide soun", "soun vide", "vide soun text", "vide soun soun tmcd meta"])
    )
    handlers = kinds.split()
    return Script(
        scale=scale,
        shapes=tuple(draw(shapes(handler, scale)) for handler in handlers),
        moov_first=draw(st.booleans()),
        mdats=draw(st.integers(1, 3)),
        large_mdat=draw(st.booleans()),
        gap=draw(st.sampled_from([0, 0, 3, 300_000])),
        file_type=draw(st.booleans()),
        order=tuple(draw(st.lists(st.integers(0, len(handlers) - 1), max_size=20))),
        tail=draw(st.sampled_from([b"", box("free", bytes(9)), box("uuid", bytes(40))])),
    )
