"""The parent reads the child's stream of fragments, and trusts none of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.testing.depth import cases
from mp4.boxes import full_box, header_of
from services.thumbnailer.media.packing.errors import NeedsTranscodingError, PackingError
from services.thumbnailer.media.packing.fragments import MAX_SAMPLES, Fragment, FragmentStream
from services.thumbnailer.media.packing.init_segment import InitSegment
from services.thumbnailer.tests.unit.films import Film
from services.thumbnailer.tests.unit.media.packing.support import reads, remuxed

LIMIT = 3 * 2**19


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return remuxed(Film(3, sound="aac").save(tmp_path_factory.mktemp("film") / "film.mp4"))


def read(data: bytes, limit: int = LIMIT) -> tuple[InitSegment, list[Fragment]]:
    source = FragmentStream(reads(data), limit)
    init = source.read_init()
    return init, list(source.fragments(init))


def test_segments_are_whole_stream(stream: bytes) -> None:
    init, fragments = read(stream)
    assert init.data + b"".join(fragment.data for fragment in fragments) == stream
    assert init.mime_type.startswith('video/mp4; codecs="avc1.')
    assert init.mime_type.endswith(', mp4a.40.2"')
    assert fragments[0].start == 0
    assert fragments[0].begins_with_key_frame
    assert max(fragment.end for fragment in fragments) == 3


def test_reading_ends_where_stream_is_cut_off(stream: bytes) -> None:
    _, fragments = read(stream)
    whole = {len(stream)}
    for fragment in reversed(fragments):
        whole.add(min(whole) - len(fragment.data))
    for length in range(len(stream)):
        if length in whole:
            assert len(read(stream[:length])[1]) < len(fragments)
        else:
            with pytest.raises(PackingError):
                read(stream[:length])


@settings(deadline=None, max_examples=cases(quick=100, deep=3_000))
@given(st.data())
def test_damaged_stream_raises_packing_errors_only(stream: bytes, data: st.DataObject) -> None:
    changed = bytearray(stream)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PackingError):
        read(bytes(changed))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_foreign_stream_raises_packing_errors_only(raw: bytes) -> None:
    with pytest.raises(PackingError):
        read(raw)


def test_segment_over_limit_is_refused_before_it_is_read(stream: bytes) -> None:
    asked: list[int] = []

    def read_and_note(count: int) -> bytes:
        asked.append(count)
        return (2**31).to_bytes(4, "big") + b"ftyp"

    with pytest.raises(NeedsTranscodingError):
        FragmentStream(read_and_note, LIMIT).read_init()
    assert asked == [8]
    _, fragments = read(stream)
    largest = max(len(fragment.data) for fragment in fragments)
    read(stream, largest)
    with pytest.raises(NeedsTranscodingError):
        read(stream, largest - 1)


def moof(*traf: bytes) -> bytes:
    body = header_of(b"traf", sum(map(len, traf))) + b"".join(traf)
    return header_of(b"moof", len(body)) + body + header_of(b"mdat", 0)


def u32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


TFHD = full_box(b"tfhd", 0, u32(1), flags=0x02_0000)
TFDT = full_box(b"tfdt", 0, u32(20_480))


@pytest.mark.parametrize(
    "boxes",
    [
        (TFHD, TFDT, full_box(b"trun", 0, u32(MAX_SAMPLES + 1))),
        (TFHD, TFDT, full_box(b"trun", 0, u32(2**32 - 1))),
        (TFHD, TFDT, full_box(b"trun", 0, u32(MAX_SAMPLES)), full_box(b"trun", 0, u32(1))),
        (TFHD, TFDT, full_box(b"trun", 0, u32(3), flags=0x100)),
        (TFHD, TFDT, full_box(b"trun", 0, u32(0))),
        (TFHD, TFDT),
        (TFHD, full_box(b"trun", 0, u32(1))),
        (full_box(b"tfhd", 0, u32(9), flags=0x02_0000), TFDT, full_box(b"trun", 0, u32(1))),
        (full_box(b"tfhd", 0, u32(1)), TFDT, full_box(b"trun", 0, u32(1))),
        (full_box(b"tfhd", 0, u32(1, 0, 0), flags=0x02_0001), TFDT, full_box(b"trun", 0, u32(1))),
    ],
    ids=[
        "too many samples",
        "far too many samples",
        "too many in several runs",
        "run cut off",
        "run without samples",
        "no run",
        "no time",
        "unknown track",
        "offsets in the file",
        "base offset",
    ],
)
def test_fragment_that_breaks_rule_is_refused(stream: bytes, boxes: tuple[bytes, ...]) -> None:
    init, _ = read(stream)
    with pytest.raises(PackingError):
        read(init.data + moof(*boxes))


def test_defaults_flags_and_offsets_of_samples(stream: bytes) -> None:
    init, _ = read(stream)
    scale = init.video.timescale
    tfhd = full_box(b"tfhd", 0, u32(1, scale, 7, 0x0001_0000), flags=0x02_0038)
    time = full_box(b"tfdt", 1, (5 * scale).to_bytes(8, "big"))
    # The second sample is shown first. Flags of the first are its own, or the default of the fragment.
    run = full_box(b"trun", 1, u32(2, 0x0200_0000, scale, 2**32 - scale), flags=0x804)
    (sync,) = read(init.data + moof(tfhd, time, run))[1]
    assert (sync.start, float(sync.end), sync.begins_with_key_frame) == (6 * scale, 7, True)
    run = full_box(b"trun", 1, u32(2, scale, 2**32 - scale), flags=0x800)
    (other,) = read(init.data + moof(tfhd, time, run))[1]
    assert (other.start, float(other.end), other.begins_with_key_frame) == (5 * scale, 7, False)
    sized = full_box(b"trun", 0, u32(1, 0, scale * 2, 9, 0), flags=0x701)
    (last,) = read(init.data + moof(tfhd, time, sized))[1]
    assert (last.start, float(last.end), last.begins_with_key_frame) == (5 * scale, 7, True)


def test_something_else_than_fragments_is_refused(stream: bytes) -> None:
    init, _ = read(stream)
    for other in (header_of(b"sidx", 0), header_of(b"moof", 0), header_of(b"moof", 0) * 2, b"\0\0\0\1mdat" + bytes(8)):
        with pytest.raises(PackingError):
            read(init.data + other)


@pytest.mark.parametrize(
    ("codec", "sound", "suffix", "expected"),
    [
        ("libx264", "aac", "mp4", "avc1.64000c, mp4a.40.2"),
        ("libx265", None, "mp4", "hvc1.1.6.L60.90"),
        ("libvpx-vp9", "libopus", "webm", "vp09."),
        ("libsvtav1", "flac", "mp4", "av01."),
        ("libx264", "libmp3lame", "mp4", "mp4a.6b"),
        ("libx264", "ac3", "mkv", "ac-3"),
    ],
)
def test_mime_type_names_codecs(tmp_path: Path, codec: str, sound: str | None, suffix: str, expected: str) -> None:
    film = Film(1, codec=codec, sound=sound).save(tmp_path / f"film.{suffix}")
    init, _ = read(remuxed(film))
    assert expected in init.mime_type


@pytest.mark.parametrize(("codec", "sound"), [("mpeg4", None), ("libx264", "pcm_s16le"), (None, "aac")])
def test_codecs_that_browsers_do_not_play_are_refused(tmp_path: Path, codec: str | None, sound: str | None) -> None:
    film = Film(1, codec=codec, sound=sound).save(tmp_path / "film.mkv")
    with pytest.raises(NeedsTranscodingError):
        remuxed(film)
