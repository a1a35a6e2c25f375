"""What the boxes of a cut contain, and which stretches of the file it takes."""

from __future__ import annotations

import os
import struct
from array import array
from dataclasses import replace

import pytest

from mp4 import Span, UnsupportedMediaError, build
from mp4.layout import GAP_BYTES, payload_of
from mp4.tests.cuts import FILM, HEARD, SEEN, changed, cut, stbl_of
from mp4.tests.judge import assert_same_index, build_of, content
from mp4.tests.reference import read_movie
from mp4.tests.synthetic import Frame, Script, Shape, box, full, moov, write

TRAILERS = {
    "an editor's records": b"SEFH" + bytes([107, 0, 0, 0, 1, 0, 0, 0]) * 2 + b"SEFT",
    "noise": b"\xff" * 1000,
    "zeros and noise": bytes(16) + b"\xff" * 100,
    "a box that is too long": struct.pack(">I4s", 5000, b"free") + bytes(20),
    "a box that is too short": struct.pack(">I4s", 4, b"free") + bytes(20),
    "a box of an impossible long size": struct.pack(">I4sQ", 1, b"uuid", 2**63) + bytes(20),
    "less than a header": b"ID3",
}


@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=TRAILERS.keys())
@pytest.mark.parametrize("start_sec", [0, 2.5])
def test_bytes_behind_a_complete_film_change_nothing(trailer: bytes, start_sec: float) -> None:
    plain = write(FILM)
    virtual, alone = build_of(plain + trailer, start_sec), build_of(plain, start_sec)
    assert virtual.start_sec == alone.start_sec == (2.0 if start_sec else 0.0)
    movie, expected = (read_movie(content(one, plain + trailer)[: alone.size]) for one in (virtual, alone))
    assert [track.samples for track in movie.tracks] == [track.samples for track in expected.tracks]


@pytest.mark.parametrize("kind", [b"mdat", b"moof", b"moov"])
def test_a_part_of_the_film_that_is_cut_short_is_no_junk(kind: bytes) -> None:
    with pytest.raises(UnsupportedMediaError):
        build_of(write(FILM) + struct.pack(">I4s", 5000, kind) + bytes(100), 2.5)


def test_text_that_needs_other_text_is_not_made_shorter() -> None:
    text = Shape("text", 1000, tuple(Frame(500, 0, 9, n % 3 == 0) for n in range(8)), (8,), stss=True)
    _, movie, _ = cut(write(replace(FILM, shapes=(SEEN, HEARD, text))), 2.5)
    track = movie.track(3)
    assert track
    assert [sample.duration for sample in track.samples] == [500] * 5
    assert track.edits[0][1] == 500


def test_tables_of_samples_are_cut_with_them() -> None:
    film = replace(FILM, shapes=(replace(SEEN, extras=True), replace(HEARD, extras=True)))
    data = write(film)
    runs = [(30, 1), (50, 0), (20, 2)]
    sbgp = full("sbgp", 1, b"rap ", bytes(4), struct.pack(">I", 3), *(struct.pack(">II", *run) for run in runs))
    stps = full("stps", 0, struct.pack(">III", 2, 51, 60))
    subs = full("subs", 0, struct.pack(">I", 0))
    data = changed(data, b"stps", lambda _: stps + sbgp + subs)
    _, movie, _ = cut(data, 2.5)
    stbl = stbl_of(movie, 1)
    assert stbl.at("sdtp").body == bytes(4) + bytes(range(50, 100))
    assert stbl.at("stps").body == bytes(4) + struct.pack(">III", 2, 1, 10)
    roll, rap = stbl.all("sbgp")
    assert roll.body == bytes(4) + b"roll" + struct.pack(">III", 1, 50, 1)
    assert rap.body == struct.pack(">I", 1 << 24) + b"rap " + bytes(4) + struct.pack(">IIIII", 2, 30, 0, 20, 2)
    # What speaks of samples by number and is not needed is gone.
    assert not stbl.has("subs")
    assert not stbl.has("cslg")


def test_sizes_of_two_lengths_are_written_in_one() -> None:
    _, movie, _ = cut(write(replace(FILM, shapes=(replace(SEEN, sizes="16"), replace(HEARD, sizes="uniform")))), 2.5)
    assert not stbl_of(movie, 1).has("stz2")
    assert stbl_of(movie, 2).at("stsz").u32(4) == 20


def test_far_away_samples_make_a_stretch_of_their_own() -> None:
    title = Shape("text", 1000, (Frame(4000, 0, 9, sync=True),), (1,))
    data = write(replace(FILM, shapes=(title, SEEN, HEARD), gap=300_000))
    virtual, movie, _ = cut(data, 3.2)
    assert len(virtual.spans) > 2
    assert movie.root.at("mdat").size < 100_000
    assert sum(span.count for span in virtual.spans) == movie.root.at("mdat").size - 8


def test_stretches_near_each_other_are_one() -> None:
    payload = payload_of(
        [(900_000, 1_000_000), (0, 10), (5, 20), (20 + GAP_BYTES, 30 + GAP_BYTES), (2_000_000, 2_000_000)]
    )
    assert payload.spans == (Span(0, 30 + GAP_BYTES), Span(900_000, 100_000))
    assert payload.size == 100_030 + GAP_BYTES
    assert list(payload.places(array("Q", (2_000_000, 900_001, 5)), 1000, "I")) == [
        1000 + payload.size,
        1000 + 30 + GAP_BYTES + 1,
        1005,
    ]
    with pytest.raises(UnsupportedMediaError):
        payload.places(array("Q", (5, 800_000)), 1000, "I")


def test_there_are_never_too_many_stretches() -> None:
    payload = payload_of((n * 1_000_000, n * 1_000_000 + n) for n in range(1, 1000))
    assert len(payload.spans) == 256
    assert payload.spans[0].offset == 1_000_000
    assert payload.spans[-1].offset + payload.spans[-1].count == 999_000_999


def test_media_in_the_wrong_order_are_found() -> None:
    # All pictures first, then all sound; and the other way round.
    for order in ((0,) * 20 + (1,) * 20, (1,) * 20 + (0,) * 20):
        cut(write(replace(FILM, order=order)), 2.5)


def test_time_scales_too_fine_to_be_united_are_rounded() -> None:
    seen = replace(SEEN, scale=2**31 - 1, frames=tuple(replace(frame, duration=85899345) for frame in SEEN.frames))
    virtual = build_of(write(replace(FILM, scale=90001, shapes=(seen, HEARD))), 2.5)
    assert virtual.start_sec == pytest.approx(2, abs=1e-6)


def test_long_durations_get_long_fields() -> None:
    # Two months in units of 1/90000 s do not fit into 32 bits.
    seen = replace(SEEN, frames=tuple(replace(frame, duration=12800 * 50_000) for frame in SEEN.frames))
    heard = replace(HEARD, frames=tuple(replace(frame, duration=48000 * 20_000) for frame in HEARD.frames))
    _, movie, _ = cut(write(replace(FILM, scale=90000, shapes=(seen, heard))), 2_000_000)
    assert movie.root.at("moov", "mvhd").body[0] == 1
    assert movie.tracks[0].node.at("tkhd").body[0] == 1
    assert movie.tracks[0].node.at("edts", "elst").body[0] == 1
    assert movie.tracks[0].header_duration > 2**32


def test_times_of_previews_are_forgotten() -> None:
    data = changed(write(FILM), b"mvhd", lambda raw: raw[:80] + b"\1" * 24 + raw[104:])
    _, movie, _ = cut(data, 2.5)
    assert movie.root.at("moov", "mvhd").body[-28:] == bytes(24) + struct.pack(">I", 3)


def chpl(version: int, *chapters: tuple[int, str]) -> bytes:
    rows = (struct.pack(">QB", start, len(title.encode())) + title.encode() for start, title in chapters)
    return full("chpl", version, bytes(4) if version else b"", bytes([len(chapters)]), *rows)


@pytest.mark.parametrize("version", [0, 1])
def test_chapters_begin_with_the_running_one(version: int) -> None:
    old = chpl(version, (0, "Eins"), (10_000_000, "둘"), (30_000_000, "Trois"))
    data = changed(write(FILM), b"name", lambda raw: raw + old)
    _, movie, _ = cut(data, 2.5)
    assert movie.root.at("moov", "udta").body == box("name", b"film") + chpl(version, (0, "둘"), (10_000_000, "Trois"))


@pytest.mark.parametrize("broken", [b"", bytes(4), bytes(4) + b"\2" + bytes(10), bytes(4) + b"\1" + bytes(8) + b"\xff"])
def test_damaged_chapters_are_left_out(broken: bytes) -> None:
    data = changed(write(FILM), b"name", lambda raw: raw + box("chpl", broken))
    _, movie, _ = cut(data, 2.5)
    assert movie.root.at("moov", "udta").body == box("name", b"film")


def test_user_data_that_are_no_boxes_stay() -> None:
    noise = b"\0\0\0\x05chpl rubbish"
    data = changed(write(FILM), b"udta", lambda _: box("udta", noise))
    # The reference reader has no patience for it.
    virtual = build_of(data, 2.5)
    assert noise in virtual.header


def test_a_movie_without_ftyp_gets_none() -> None:
    data = write(replace(FILM, file_type=False))
    virtual, _, _ = cut(data, 2.5)
    assert virtual.header[4:8] == b"moov"
    assert_same_index(data, build_of(data, 0))


@pytest.mark.parametrize("size", [0, 1])
def test_an_index_may_go_to_the_end_of_the_file_or_have_a_long_length(size: int) -> None:
    data = write(FILM)
    at = data.index(b"moov") - 4
    moov = data[at:]
    head = struct.pack(">I4s", 0, b"moov") if size == 0 else struct.pack(">I4sQ", 1, b"moov", len(moov) + 8)
    strange = data[:at] + head + moov[8:]
    assert content(build_of(strange, 0), strange) == content(build_of(data, 0), data)
    assert content(build_of(strange, 3), strange) == content(build_of(data, 3), data)


def test_small_offsets_grow_when_the_whole_does() -> None:
    data = write(FILM)
    at = data.index(b"moov") - 4
    # 4 GiB between the media and the index, which needs small numbers only until it is moved.
    hole = struct.pack(">I4sQ", 1, b"free", 2**32)
    with os.fdopen(os.memfd_create("film"), "w+b", buffering=0) as file:
        file.write(data[:at] + hole)
        file.seek(at + 2**32)
        file.write(data[at:])
        size = len(data) + 2**32
        whole, part = build(file, size, 0), build(file, size, 2.5)
    assert whole.size - size == whole.header.count(b"co64") * 20 * 4
    assert whole.header.count(b"co64") == 2
    assert b"co64" not in part.header
    assert part == build_of(data, 2.5)


def test_sound_whose_sizes_may_not_be_bytes_is_unsupported() -> None:
    heard = replace(HEARD, frames=tuple(replace(frame, size=1) for frame in HEARD.frames), sizes="uniform")
    data = write(replace(FILM, shapes=(SEEN, heard)))
    with pytest.raises(UnsupportedMediaError):
        build_of(data, 2.5)
    assert_same_index(data, build_of(data, 0))


def test_media_of_more_than_four_gigabytes_have_a_long_length() -> None:
    seen = replace(SEEN, frames=tuple(replace(frame, size=10**8) for frame in SEEN.frames), per_chunk=(10,) * 10)
    media = 10**10
    head = box("ftyp", bytes(8)) + struct.pack(">I4sQ", 1, b"mdat", media + 16)
    index = moov(Script(1000, (replace(seen, wide=True),)), [[len(head) + n * 10**9 for n in range(10)]])
    with os.fdopen(os.memfd_create("film"), "w+b", buffering=0) as file:
        file.write(head)
        file.seek(len(head) + media)
        file.write(index)
        size = len(head) + media + len(index)
        virtual = build(file, size, 2.5)
    assert virtual.spans == (Span(len(head) + 5 * 10**9, 5 * 10**9),)
    length = struct.pack(">I4sQ", 1, b"mdat", 5 * 10**9 + 16)
    assert virtual.header.endswith(length)
    found = virtual.header.index(b"co64")
    offsets = struct.unpack_from(">5Q", virtual.header, found + 12)
    assert offsets == tuple(len(virtual.header) + n * 10**9 for n in range(5))
