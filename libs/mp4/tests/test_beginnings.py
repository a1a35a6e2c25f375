"""Where each track of a cut begins and ends."""

from __future__ import annotations

import struct
from array import array
from dataclasses import replace

import pytest

from mp4.sample_boxes import Chunks, Sizes
from mp4.tests.cuts import FILM, HEARD, SEEN, changed, cut, stbl_of
from mp4.tests.judge import assert_same_index, build_of, content
from mp4.tests.reference import read_movie
from mp4.tests.synthetic import Frame, Shape, box, full, table, write


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
