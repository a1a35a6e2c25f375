"""Details that players notice late: pre-rolled audio, dropped tables, and numbers that outgrow their fields."""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Callable
from dataclasses import replace

import pytest

from mp4 import Span, UnsupportedMediaError, VirtualFile, build
from mp4.layout import GAP_BYTES, payload_of
from mp4.sample_boxes import Chunks, Sizes
from mp4.tests.judge import assert_cut, assert_same_index, build_of, content, key_frame_at
from mp4.tests.reference import Movie, Node, read_movie
from mp4.tests.synthetic import Frame, Script, Shape, box, full, moov, table, write

SEEN = Shape("vide", 12800, tuple(Frame(512, 0, 50 + n, n % 25 == 0) for n in range(100)), (5,) * 20, stss=True)
HEARD = Shape("soun", 48000, tuple(Frame(960, 0, 20, sync=True) for n in range(200)), (10,) * 20)
FILM = Script(1000, (SEEN, HEARD))


def cut(data: bytes, start_sec: float) -> tuple[VirtualFile, Movie, bytes]:
    virtual = build_of(data, start_sec)
    whole = content(virtual, data)
    assert_cut(data, virtual, key_frame_at(read_movie(data), start_sec))
    return virtual, read_movie(whole), whole


def changed(data: bytes, kind: bytes, change: Callable[[bytes], bytes], which: int = 0) -> bytes:
    """Return a file whose index comes last, with the n-th box of a kind in it replaced."""
    seen = -1

    def written(node: Node) -> bytes:
        nonlocal seen
        raw = data[node.offset : node.offset + node.size]
        if node.kind == kind:
            seen += 1
            if seen == which:
                return change(raw)
        if node.children:
            return box(node.kind.decode("latin-1"), *map(written, node.children))
        return raw

    top = read_movie(data).root
    result = b"".join(map(written, top.children))
    assert seen >= which
    return result


def stbl_of(movie: Movie, number: int) -> Node:
    track = movie.track(number)
    assert track
    return track.node.at("mdia", "minf", "stbl")


def test_sound_begins_one_packet_earlier() -> None:
    _, movie, _ = cut(write(FILM), 2.5)
    sound = movie.track(2)
    assert sound
    # At 2 s, where the key frame is, the 101st packet begins.
    assert len(sound.samples) == 200 - 99
    assert sound.edits[0][1] == 960


@pytest.mark.parametrize(
    ("version", "distance", "earlier"), [(0, -4, 4), (1, -4, 4), (1, -1, 1), (1, 2, 1), (1, -3000, 64)]
)
def test_sound_begins_as_early_as_its_decoder_asks(version: int, distance: int, earlier: int) -> None:
    length = struct.pack(">I", 2) if version else b""
    sgpd = full("sgpd", version, b"roll", length, struct.pack(">Ih", 1, distance))
    data = changed(write(FILM), b"stsd", lambda raw: raw + sgpd, which=1)
    _, movie, _ = cut(data, 2.5)
    sound = movie.track(2)
    assert sound
    assert len(sound.samples) == 100 + earlier
    assert sound.edits[0][1] == earlier * 960
    assert stbl_of(movie, 2).at("sgpd").body == sgpd[8:]


def test_sound_with_key_frames_begins_with_one() -> None:
    heard = replace(
        HEARD, frames=tuple(replace(frame, sync=n % 8 == 0) for n, frame in enumerate(HEARD.frames)), stss=True
    )
    _, movie, _ = cut(write(replace(FILM, shapes=(SEEN, heard))), 2.5)
    sound = movie.track(2)
    assert sound
    assert len(sound.samples) == 200 - 88
    assert sound.edits[0][1] == 12 * 960


@pytest.mark.parametrize("handler", ["soun", "text"])
def test_takes_every_sample_for_a_sync_sample_where_the_table_is_empty(handler: str) -> None:
    other = replace(HEARD, handler=handler)
    plain = write(replace(FILM, shapes=(SEEN, other)))
    data = changed(plain, b"stsd", lambda raw: raw + table("stss", 0, [], ">I"), which=1)
    expected, movie, _ = cut(plain, 2.5)
    virtual = build_of(data, 2.5)
    assert (virtual.header, virtual.spans) == (expected.header, expected.spans)
    assert len(movie.tracks[1].samples) <= 101


def test_sends_everything_where_no_picture_is_a_sync_sample() -> None:
    """ISO/IEC 14496-12, 8.6.2: a table without entries means that no sample is a sync sample."""
    pictures = replace(SEEN, frames=tuple(replace(frame, sync=False) for frame in SEEN.frames))
    data = write(replace(FILM, shapes=(pictures, HEARD)))
    virtual = build_of(data, 2.5)
    assert virtual.start_sec == 0
    assert (virtual.first_ms, virtual.until_ms) == (0, 4000)
    assert_same_index(data, virtual)


@pytest.mark.parametrize(
    "edits",
    [
        [(0, 0, 1)],
        [(0, 1024, 1)],
        [(500, -1, 1), (0, 0, 1)],
        [(0, -1, 1), (4000, 0, 1)],
        [(0, 5000, 1), (4000, 0, 1)],
        [(2000, 0, 1), (0, 5000, 1), (2000, 25600, 1)],
        [(1000, 0, 1), (0, 12800, 1)],
    ],
)
def test_cuts_where_an_edit_has_no_duration(edits: list[tuple[int, int, int]]) -> None:
    """At the end of a list it lasts as long as the media; anywhere else it shows nothing."""
    rows = [(duration, media_time, rate << 16) for duration, media_time, rate in edits]
    edts = box("edts", table("elst", 0, rows, ">IiI"))
    data = write(FILM)
    data = changed(data, b"edts", lambda _: edts) if b"edts" in data else changed(data, b"tkhd", lambda b: b + edts)
    virtual = build_of(data, 2.6)
    assert 0 < virtual.start_sec <= 2.6
    kept = read_movie(content(virtual, data)).tracks[0]
    assert sum(duration for duration, _, _ in kept.edits) > 0


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


def test_ended_tracks_and_references_to_them_are_dropped() -> None:
    text = Shape("text", 1000, (Frame(500, 0, 9, sync=True),) * 2, (2,))
    hint = replace(HEARD, handler="hint")
    data = write(replace(FILM, shapes=(SEEN, HEARD, text, hint)))
    tref = box("tref", box("chap", struct.pack(">I", 3)), box("hint", struct.pack(">II", 2, 4)))
    data = changed(data, b"tkhd", lambda raw: raw + tref)
    _, movie, _ = cut(data, 3.5)
    assert [track.number for track in movie.tracks] == [1, 2]
    assert movie.tracks[0].node.at("tref").body == box("hint", struct.pack(">I", 2))
    data = changed(data, b"tref", lambda _: box("tref", box("chap", struct.pack(">I", 3))))
    _, movie, _ = cut(data, 3.5)
    assert not movie.tracks[0].node.has("tref")


def test_a_track_whose_edit_outlasts_its_media_is_over_with_them() -> None:
    heard = replace(HEARD, frames=HEARD.frames[:100], per_chunk=(10,) * 10, edits=((4000, 0, 0x10000),))
    _, movie, _ = cut(write(replace(FILM, shapes=(SEEN, heard))), 3.5)
    assert [track.number for track in movie.tracks] == [1]


def test_a_track_ends_with_what_it_shows_last() -> None:
    heard = replace(HEARD, edits=((3500, 0, 0x10000), (500, -1, 0x10000)))
    _, movie, _ = cut(write(replace(FILM, shapes=(SEEN, heard))), 2.5)
    assert [(duration / movie.scale, media_time) for duration, media_time, _ in movie.tracks[1].edits] == [(1.5, 960)]


@pytest.mark.parametrize("ctts", [None, 0])
def test_a_last_key_frame_without_a_duration_is_a_beginning(ctts: int | None) -> None:
    last = Frame(0, 0, 30, sync=True)
    seen = replace(SEEN, frames=(*SEEN.frames, last), per_chunk=(*SEEN.per_chunk, 1), ctts=ctts)
    data = write(replace(FILM, shapes=(seen, replace(HEARD, frames=HEARD.frames * 2, per_chunk=HEARD.per_chunk * 2))))
    virtual, movie, _ = cut(data, 5)
    assert virtual.start_sec == 4
    assert len(movie.tracks[0].samples) == 1


def test_a_key_frame_at_the_end_of_its_edit_is_not_shown() -> None:
    seen = replace(SEEN, edits=((2000, 0, 0x10000), (1000, -1, 0x10000)))
    virtual, movie, _ = cut(write(replace(FILM, shapes=(seen, HEARD))), 2.5)
    assert virtual.start_sec == 1
    assert virtual.until_ms == 4000
    assert len(movie.tracks[0].samples) == 75


def h264(*, length_size: int, config: bytes = b"avcC") -> bytes:
    """A film in which only the first and the third of four key frames are IDR pictures."""
    sizes = [40 * length_size] * 100

    def unit(kind: int, size: int) -> bytes:
        return (size - length_size).to_bytes(length_size, "big") + bytes([kind]) + b"\xff" * (size - length_size - 1)

    def sample(number: int) -> bytes:
        last = 5 if number in {0, 50} else 1
        return (
            unit(9, 2 + length_size)
            + unit(0x67, 30)
            + unit(6, 20)
            + unit(0x60 | last, sizes[number] - 52 - length_size)
        )

    seen = replace(
        SEEN, codec="avc1", frames=tuple(replace(f, size=n) for f, n in zip(SEEN.frames, sizes, strict=True))
    )
    data = write(replace(FILM, shapes=(seen, HEARD)))
    fields = bytes(78) + box(config.decode(), bytes(4) + bytes([0xFC | length_size - 1]))
    data = changed(data, b"stsd", lambda _: full("stsd", 0, struct.pack(">I", 1), box("avc1", fields)))
    for number, (place, payload) in enumerate(zip(read_movie(data).tracks[0].samples, seen.payloads, strict=True)):
        assert data[place.offset : place.offset + place.size] == payload
        data = data[: place.offset] + sample(number) + data[place.offset + place.size :]
    return data


@pytest.mark.parametrize("length_size", [2, 4])
def test_a_film_in_h264_begins_at_idr_pictures_only(length_size: int) -> None:
    data = h264(length_size=length_size)
    starts = [(virtual.start_sec, virtual.until_ms) for virtual in (build_of(data, n + 0.5) for n in range(4))]
    assert starts == [(0, 2000), (0, 2000), (2, 4000), (2, 4000)]


def test_without_a_configuration_the_table_is_believed() -> None:
    assert build_of(h264(length_size=4, config=b"none"), 1.5).start_sec == 1


def test_samples_that_are_no_h264_begin_nothing() -> None:
    data = h264(length_size=4)
    at = data.index(b"mdat") + 4
    for noise in (b"\0", b"\xff", b"\6"):
        changed_data = data[:at] + noise * (data.index(b"moov") - 4 - at) + data[data.index(b"moov") - 4 :]
        assert build_of(changed_data, 3.5).start_sec == 0


def test_each_key_frame_answers_until_the_next_one() -> None:
    data = write(FILM)
    spans = [(virtual.first_ms, virtual.until_ms) for virtual in (build_of(data, n + 0.5) for n in range(4))]
    assert spans == [(0, 1000), (1000, 2000), (2000, 3000), (3000, 4000)]


def test_chunk_may_end_behind_the_last_one() -> None:
    offsets, sizes = array("I", (100, 300, 302)), array("I", (10, 99, 3))
    chunks = Chunks(array("I", (1,)), array("I", (1,)), array("I", (1,)), offsets)
    assert list(chunks.stretches(Sizes(3, 0, sizes), gap=1000)) == [(100, 399)]
    assert max(end for _, end in chunks.stretches(Sizes(3, 0, sizes), gap=10)) == 399


def test_pictures_of_chapters_do_not_lead() -> None:
    still = replace(SEEN, frames=(Frame(12800, 0, 9, sync=True),) * 4, per_chunk=(4,), stss=False)
    data = write(replace(FILM, shapes=(still, SEEN, HEARD)))
    tref = box("tref", box("chap", struct.pack(">I", 1)))
    data = changed(data, b"tkhd", lambda raw: raw + tref, which=1)
    data = changed(data, b"stss", lambda _: table("stss", 0, [(1,), (41,)], ">I"))
    virtual = build_of(data, 3.5)
    assert virtual.start_sec == pytest.approx(1.6)


def test_a_track_that_is_switched_off_does_not_lead() -> None:
    other = replace(SEEN, frames=tuple(replace(frame, sync=n % 40 == 0) for n, frame in enumerate(SEEN.frames)))
    data = write(replace(FILM, shapes=(other, SEEN, HEARD)))
    data = changed(data, b"tkhd", lambda raw: raw[:8] + bytes(4) + raw[12:])
    assert build_of(data, 2.5).start_sec == 2


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
