"""Files with wrong contents: each gives a virtual file within its bounds or a documented error."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp4 import StartBeyondEndError, UnsupportedMediaError, VirtualFile, build, structure
from mp4.tests.judge import build_of, opened
from mp4.tests.synthetic import Frame, Script, Shape, box, full, large, moov, scripts, table, write

STARTS = (0.0, 0.05, 0.5, 3.0)
EXTREMES = [0, 1, 2, 7, 8, 15, 16, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0x10000, 1000]


def film(seconds: int = 2, **changed: object) -> Script:
    """Return pictures and sound, both with all kinds of tables."""
    pictures = Shape(
        handler="vide",
        scale=12800,
        frames=tuple(Frame(512, 1024 * (n % 3), 9 + n % 5, n % 10 == 0) for n in range(25 * seconds)),
        per_chunk=(1, 2, 2) * (5 * seconds),
        edits=((100, -1, 0x10000), (1000 * seconds, 0, 0x10000)),
        ctts=0,
        stss=True,
        extras=True,
    )
    sound = Shape(
        handler="soun",
        scale=48000,
        frames=tuple(Frame(1920, 0, 12, sync=True) for _ in range(25 * seconds)),
        per_chunk=(5,) * (5 * seconds),
        sizes="8",
        wide=True,
        elst=1,
        headers=1,
    )
    text = Shape(
        handler="text",
        scale=1000,
        frames=(Frame(500, 0, 11, sync=True),) * (2 * seconds),
        per_chunk=(1,) * (2 * seconds),
    )
    return Script(scale=1000, shapes=(pictures, sound, text), **changed)  # type: ignore[arg-type]


def check(data: bytes) -> list[VirtualFile]:
    """Build from it in every way; the results must lie within the file."""
    built = []
    for start_sec in STARTS:
        try:
            virtual = build_of(data, start_sec)
        except (UnsupportedMediaError, StartBeyondEndError):
            continue
        assert all(span.count > 0 and 0 <= span.offset <= len(data) - span.count for span in virtual.spans)
        assert virtual.first_ms <= round(start_sec * 1000) < virtual.until_ms
        assert len(virtual.header) < 8 * len(data) + 10_000
        built.append(virtual)
    return built


MODEL = write(film())
FAST = write(film(moov_first=True, mdats=2, large_mdat=True))


def test_reference_reader_accepts_its_own_films() -> None:
    assert len(check(MODEL)) == len(check(FAST)) == 3


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from([MODEL, FAST])))
    begin = data.index(b"moov") - 4
    end = begin + struct.unpack_from(">I", data, begin)[0]
    for _ in range(draw(st.integers(1, 6))):
        # Most of what can break is in the index.
        place = draw(st.one_of(st.integers(begin, end - 1), st.integers(begin, end - 1), st.integers(0, len(data) - 1)))
        match draw(st.sampled_from(["byte", "number", "number", "cut", "swap", "insert", "end", "wide"])):
            case "byte":
                data[place] = draw(st.integers(0, 255))
            case "number":
                data[place : place + 4] = struct.pack(">I", draw(st.sampled_from(EXTREMES)))
            case "wide":
                data[place : place + 8] = struct.pack(
                    ">Q", draw(st.sampled_from([0, 1, 2**31, 2**32, 2**62, 2**63, 2**64 - 1]))
                )
            case "cut":
                del data[place : place + draw(st.integers(1, 64))]
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=16))
            case "swap":
                other = draw(st.integers(begin, end - 1))
                data[place : place + 4], data[other : other + 4] = data[other : other + 4], data[place : place + 4]
            case "end":
                del data[place:]
        if len(data) < end or not data:
            break
    return bytes(data)


@settings(deadline=None)
@given(data=damaged())
def test_damaged_file_raises_only_documented_errors(data: bytes) -> None:
    check(data)


@settings(deadline=None)
@given(script=scripts(), places=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(EXTREMES)), min_size=1, max_size=3))
def test_wrong_numbers_raise_only_documented_errors(script: Script, places: list[tuple[float, int]]) -> None:
    data = bytearray(write(script))
    begin = data.rindex(b"mvhd")
    for fraction, value in places:
        # The numbers of an index begin at multiples of 4.
        place = begin + int(fraction * (len(data) - begin)) // 4 * 4
        data[place : place + 4] = struct.pack(">I", value)
    check(bytes(data))


@settings(deadline=None)
@given(data=st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda more: MODEL[:40] + more)))
def test_noise_is_unsupported(data: bytes) -> None:
    assert not check(data)


@pytest.mark.parametrize("part", [n / 16 for n in range(16)])
def test_a_file_cut_short_is_unsupported(part: float) -> None:
    for data in (MODEL, FAST):
        assert not check(data[: int(len(data) * part)])


def test_a_file_that_shrinks_meanwhile_is_unsupported() -> None:
    with opened(MODEL) as file:
        os.ftruncate(file.fileno(), len(MODEL) - 100)
        with pytest.raises(UnsupportedMediaError):
            build(file, len(MODEL), 1)


def with_box(path: tuple[bytes, ...], change: Callable[[bytes], bytes]) -> bytes:
    """Return the fast-start model with a box of its index replaced, and the sizes of its parents corrected."""

    def rebuilt(data: bytes, depth: int) -> bytes:
        out, at, done = b"", 0, False
        while at < len(data):
            size = struct.unpack_from(">I", data, at)[0]
            if size == 1:
                size = struct.unpack_from(">Q", data, at + 8)[0]
            piece = data[at : at + size]
            if piece[4:8] == path[depth] and not done:
                done = True
                whole = depth == len(path) - 1
                piece = change(piece) if whole else box(piece[4:8].decode(), rebuilt(piece[8:], depth + 1))
            out += piece
            at += size
        assert done, path
        return out

    return rebuilt(MODEL, 0)


STBL = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ((b"moov",), lambda b: b + b),
        ((b"moov",), lambda b: box("free", b)),
        ((b"moov",), lambda b: b + box("moof", bytes(8))),
        ((b"moov", b"mvhd"), lambda b: b + b),
        ((b"moov", b"mvhd"), lambda b: b + box("mvex")),
        ((b"moov", b"mvhd"), lambda b: b + box("meta", bytes(4), box("iloc", bytes(8)))),
        ((b"moov", b"mvhd"), lambda b: b[:20] + bytes(4) + b[24:]),
        ((b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"), lambda b: b[:-4] + bytes(4)),
        ((b"moov", b"trak", b"mdia", b"mdhd"), lambda b: b[:20] + bytes(4) + b[24:]),
        ((b"moov", b"trak", b"edts", b"elst"), lambda b: b[:-4] + struct.pack(">I", 0x20000)),
        ((*STBL, b"stsd"), lambda b: b.replace(b"abcd", b"encv")),
        ((*STBL, b"stts"), lambda b: b""),
        ((*STBL, b"stts"), lambda b: b + b),
        ((*STBL, b"stco"), lambda b: b + table("co64", 0, [], ">Q")),
        ((*STBL, b"stss"), lambda _: table("stss", 0, [(3,), (2,)], ">I")),
        ((*STBL, b"stss"), lambda _: table("stss", 0, [(0,)], ">I")),
        ((*STBL, b"stss"), lambda _: table("stss", 0, [(1,), (51,)], ">I")),
        ((*STBL, b"stsc"), lambda _: table("stsc", 0, [(1, 0, 1)], ">III")),
        ((*STBL, b"stsc"), lambda _: table("stsc", 0, [], ">III")),
        ((*STBL, b"stsc"), lambda b: b[:16] + struct.pack(">I", 2) + b[20:]),
        ((*STBL, b"ctts"), lambda _: table("ctts", 0, [(49, 0)], ">II")),
        ((*STBL, b"stco"), lambda b: b[:-4] + struct.pack(">I", len(MODEL) - 3)),
    ],
)
def test_unknown_features_are_unsupported_when_trimmed(
    path: tuple[bytes, ...], change: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(UnsupportedMediaError):
        build_of(with_box(path, change), 1.2)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ((b"moov",), lambda b: b + box("meta", bytes(8))),
        ((b"moov", b"udta"), lambda _: box("udta", box("meta", bytes(4), box("iloc", bytes(8))))),
        ((b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"), lambda b: b[:-4] + bytes(4)),
        ((*STBL, b"stsd"), lambda b: b + full("saio", 0, bytes(8))),
        ((*STBL, b"stco"), lambda b: b[:16] + struct.pack(">I", 5) + b[20:]),
        ((*STBL, b"stco"), lambda b: b[:16] + struct.pack(">I", len(MODEL) - 3) + b[20:]),
        ((b"ftyp",), lambda b: box("free", bytes(70_000)) + b),
    ],
)
def test_unknown_features_are_unsupported_when_moved(path: tuple[bytes, ...], change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(UnsupportedMediaError):
        build_of(with_box(path, change), 0)


def test_a_huge_index_is_not_read() -> None:
    size = 65 * 2**20
    with opened(box("ftyp", bytes(8)) + box("mdat", bytes(8)) + struct.pack(">I4s", size, b"moov")) as file:
        os.ftruncate(file.fileno(), size + 32)
        with pytest.raises(UnsupportedMediaError):
            build(file, size + 32, 1)


def cost(data: bytes) -> tuple[float, int]:
    """Return the seconds of CPU and bytes of memory that a file takes."""
    tracemalloc.start()
    started = time.process_time()
    check(data)
    spent = time.process_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return spent, peak


def deep(levels: int) -> bytes:
    inner = b""
    for _ in range(levels):
        inner = box("trak", inner)
    return inner


def lying(**changed: object) -> bytes:
    """Return an index whose tables are long and wrong."""
    count = 60_000
    frames = tuple(Frame(1, n % 7 - 3, 1, n % 2 == 0) for n in range(count))
    shape = Shape("vide", 600, frames, (1,) * count, ctts=1, stss=True)
    offsets = [[32 + n * 7919 % count for n in range(count)]]
    if "uniform" in changed:
        shape = Shape("vide", 600, (), ())
        offsets = [[]]
    data = bytearray(moov(Script(600, (shape,)), offsets))
    if "uniform" in changed:
        # Four thousand million samples of no size, and of one byte.
        place = data.index(b"stsz") + 8
        data[place : place + 8] = struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF)
    return bytes(box("ftyp", bytes(8)) + box("mdat", bytes(count + 16)) + data)


@pytest.mark.parametrize(
    "data",
    [
        box("ftyp", bytes(8)) + box("mdat", bytes(8)) + box("moov", deep(3000)),
        box("ftyp", bytes(8)) + box("mdat", bytes(8)) + box("moov", box("free") * 200_000),
        box("ftyp", bytes(8)) + box("free") * 100_000,
        lying(),
        lying(uniform=True),
        box("ftyp", bytes(8)) + box("mdat", bytes(8)) + box("moov", table("elst", 0, [(1, 1, 65536)] * 50_000, ">Iii")),
        large("mdat", bytes(8)) + struct.pack(">I4s", 0, b"moov") + bytes(100_000),
    ],
    ids=["deep", "many boxes", "many outer boxes", "shuffled", "countless", "many edits", "zeros"],
)
def test_time_and_memory_are_bounded_by_the_size(data: bytes) -> None:
    spent, peak = cost(data)
    # Quadratic work on so much would take minutes, and a number taken at its word gigabytes.
    assert spent < 10
    assert peak < 30 * len(data) + 2**20


def test_structure_reads_little() -> None:
    with opened(FAST) as file:
        found = structure(file.fileno(), len(FAST))
    assert found.is_fast_start
    with opened(MODEL) as file:
        assert not structure(file.fileno(), len(MODEL)).is_fast_start
    between = write(film(mdats=2))
    at = between.rindex(b"mdat") - 4
    media = struct.unpack_from(">I", between, at)[0]
    between = between[:at] + between[at + media :] + between[at : at + media]
    with opened(between) as file:
        assert not structure(file.fileno(), len(between)).is_fast_start
    fragmented = box("ftyp", bytes(8)) + box("moov", bytes(8)) + box("moof") + b"rubbish"
    with opened(fragmented) as file:
        assert structure(file.fileno(), len(fragmented)).is_fragmented
