from __future__ import annotations

import asyncio
import base64
import ctypes
import errno
import json
import math
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.thumbnailer import domain
from services.thumbnailer.media import child, inspection
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.media.inspection import Limits, process
from services.thumbnailer.tests.unit.films import Film, Thumbnail, luma_at, white_corner

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.thumbnailer.domain import MediaInfo

BLACK, WHITE = 16, 235
ROOT = Path(inspection.__file__).parents[3]


def look(source: Path, artwork: Path, limits: Limits = inspection.DEFAULT_LIMITS) -> tuple[MediaInfo, Thumbnail]:
    info = asyncio.run(process(source, artwork / "thumbnail.jpg", limits))
    assert names(artwork) == ["thumbnail.jpg"]
    return info, Thumbnail.read(artwork / "thumbnail.jpg")


def failure_of(source: Path, artwork: Path, limits: Limits = inspection.DEFAULT_LIMITS) -> str:
    with pytest.raises(MediaError) as caught:
        asyncio.run(process(source, artwork / "thumbnail.jpg", limits))
    assert names(artwork) == []
    assert_no_children()
    return caught.value.failure.code


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def children() -> set[int]:
    """Return the child processes of this one, including those that ended and were not waited for (proc(5))."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name before it may hold spaces and brackets.
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


OTHERS: set[int] = set()
"""Children that were there before the test: servers that the whole session shares."""


@pytest.fixture(autouse=True)
def _remember_other_children() -> None:
    OTHERS.clear()
    OTHERS.update(children())


def assert_no_children() -> None:
    assert children() <= OTHERS


def boxes(data: bytes) -> dict[str, tuple[int, int]]:
    """Return start and end of each top-level box."""
    found, at = {}, 0
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        found[name.decode()] = (at, at + length)
        at += length
    return found


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- What works --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["moov_first", "moov_last"])
def test_mp4_with_sound(which: str, request: pytest.FixtureRequest, artwork: Path) -> None:
    source: Path = request.getfixturevalue(which)
    info, thumbnail = look(source, artwork)
    assert info.duration_sec == pytest.approx(20, abs=0.1)
    assert (info.container, info.mime_type) == ("MP4", "video/mp4")
    assert (info.video_codec, info.audio_codec) == ("H.264", "AAC")
    assert info.audio_codec
    assert (info.width, info.height) == (320, 180)
    assert info.bitrate_bps == pytest.approx(source.stat().st_size * 8 / 20, rel=0.02)
    assert (thumbnail.width, thumbnail.height) == (320, 180)
    assert thumbnail.shade() == pytest.approx(luma_at(2), abs=2)


def test_fixtures_have_the_box_order_that_their_names_say(moov_first: Path, moov_last: Path) -> None:
    first, last = boxes(moov_first.read_bytes()), boxes(moov_last.read_bytes())
    assert first["moov"] < first["mdat"]
    assert last["moov"] > last["mdat"]


def test_mp4_without_audio(tmp_path: Path, artwork: Path) -> None:
    info, _ = look(Film(seconds=1).save(tmp_path / "film.mp4"), artwork)
    assert info.audio_codec is None
    assert info.audio_codec is None


def test_webm(webm: Path, artwork: Path) -> None:
    info, thumbnail = look(webm, artwork)
    assert (info.container, info.mime_type) == ("WebM", "video/webm")
    assert (info.video_codec, info.audio_codec) == ("VP9", "Opus")
    assert info.duration_sec == pytest.approx(4, abs=0.1)
    assert thumbnail.shade() == pytest.approx(luma_at(0), abs=2)


@pytest.mark.parametrize(
    ("film", "name", "shown"),
    [
        (Film(), "film.mkv", ("Matroska", "H.264")),
        (Film(), "film.mov", ("QuickTime", "H.264")),
        (Film(format="ipod"), "film.m4v", ("MP4", "H.264")),
        (Film(codec="libx265", options={"x265-params": "log-level=none"}), "film.mkv", ("Matroska", "HEVC")),
        (Film(codec="libsvtav1", options={"preset": "13"}), "film.mp4", ("MP4", "AV1")),
        (Film(codec="mpeg4"), "film.mp4", ("MP4", "MPEG-4")),
        (Film(codec="libvpx"), "film.webm", ("WebM", "VP8")),
    ],
)
def test_other_containers_and_codecs_are_supported(
    film: Film, name: str, shown: tuple[str, str], tmp_path: Path, artwork: Path
) -> None:
    info, thumbnail = look(replace(film, seconds=3).save(tmp_path / name), artwork)
    assert (info.container, info.video_codec) == shown
    assert info.duration_sec == pytest.approx(3, abs=0.15)
    assert thumbnail.shade() == pytest.approx(luma_at(0), abs=3)


def test_a_long_film_shows_its_fifth_second(tmp_path: Path, artwork: Path) -> None:
    def seconds(second: float, width: int, height: int) -> list[bytes]:
        return [bytes([40 + 2 * int(second)]) * width] * height

    _, thumbnail = look(Film(seconds=90, size=(64, 36), paint=seconds).save(tmp_path / "film.mp4"), artwork)
    assert thumbnail.shade() == pytest.approx(50, abs=1)


def test_the_key_frame_before_the_time_is_taken(tmp_path: Path, artwork: Path) -> None:
    _, thumbnail = look(Film(seconds=19, key_frame_sec=1.5).save(tmp_path / "film.mp4"), artwork)
    assert thumbnail.shade() == pytest.approx(luma_at(1.5), abs=2)


def test_film_with_intra_refresh_has_a_thumbnail(tmp_path: Path, artwork: Path) -> None:
    """Periodic intra refresh: there is no key frame except the first."""
    film = Film(options={"intra-refresh": "1", "g": "10"}).save(tmp_path / "film.mp4")
    _, thumbnail = look(film, artwork)
    assert thumbnail.width == 320


def test_a_film_whose_key_frames_are_broken_shows_what_can_be_decoded(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=4, codec="mpeg4").save(tmp_path / "film.mp4")
    data = bytearray(film.read_bytes())
    start = boxes(bytes(data))["mdat"][0] + 8
    data[start : start + 40] = bytes(40)
    _, thumbnail = look(saved(film, bytes(data)), artwork)
    assert thumbnail.width == 320


@pytest.mark.parametrize("name", ["film.mp4", "film.webm"])
@pytest.mark.parametrize("frames", [1, 2])
def test_tiny_clips_get_a_thumbnail(name: str, frames: int, tmp_path: Path, artwork: Path) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    info, thumbnail = look(Film(seconds=frames / 10, codec=codec).save(tmp_path / name), artwork)
    assert info.duration_sec == pytest.approx(frames / 10, abs=0.05)
    assert thumbnail.shade() == pytest.approx(luma_at(0), abs=2)


def test_a_duration_of_zero(tmp_path: Path, artwork: Path) -> None:
    """Every duration in the file's index is overwritten; its one sample stays."""
    film = Film(seconds=0.1).save(tmp_path / "film.mp4")
    data = bytearray(film.read_bytes())
    for name, offset, length in ((b"mvhd", 20, 4), (b"tkhd", 24, 4), (b"mdhd", 20, 4), (b"stts", 16, 4)):
        at = data.index(name) + offset
        data[at : at + length] = bytes(length)
    info, thumbnail = look(saved(film, bytes(data)), artwork)
    assert info.duration_sec == pytest.approx(0, abs=0.11)
    assert thumbnail.width == 320


@pytest.mark.parametrize(
    ("film", "size", "corner"),
    [
        (Film(mirrored=True), (320, 180), (1, 0)),
        (Film(turned=90), (180, 320), (0, 1)),
        (Film(turned=-90), (180, 320), (1, 0)),
        (Film(turned=180), (320, 180), (1, 1)),
        (Film(turned=180, mirrored=True), (320, 180), (0, 1)),
        # As FFmpeg's own program turns them.
        (Film(turned=90, mirrored=True), (180, 320), (1, 1)),
        (Film(turned=-90, mirrored=True), (180, 320), (0, 0)),
    ],
)
def test_turned_and_mirrored_films(
    film: Film, size: tuple[int, int], corner: tuple[int, int], tmp_path: Path, artwork: Path
) -> None:
    made = replace(film, seconds=0.2, paint=white_corner).save(tmp_path / "film.mp4")
    info, thumbnail = look(made, artwork)
    assert (info.width, info.height) == size
    assert (thumbnail.width, thumbnail.height) == (320, 2 * round(320 * size[1] / size[0] / 2))
    for across, down in ((0, 0), (0, 1), (1, 0), (1, 1)):
        expected = WHITE if (across, down) == corner else BLACK
        assert thumbnail.shade(0.25 + across / 2, 0.25 + down / 2) == pytest.approx(expected, abs=4)


def test_anamorphic_films_have_the_shape_that_a_player_shows(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=1, size=(360, 288), pixel_aspect=Fraction(64, 45)).save(tmp_path / "film.mp4")
    info, thumbnail = look(film, artwork)
    assert (info.width, info.height) == (360, 288)
    assert (thumbnail.width, thumbnail.height) == (320, 180)


@pytest.mark.parametrize(("size", "height"), [((16, 512), 1280), ((1024, 2), 2), ((322, 182), 180), ((318, 180), 182)])
def test_odd_shapes_get_a_thumbnail(size: tuple[int, int], height: int, tmp_path: Path, artwork: Path) -> None:
    _, thumbnail = look(Film(seconds=0.2, size=size, codec="mpeg4").save(tmp_path / "film.mp4"), artwork)
    assert (thumbnail.width, thumbnail.height) == (320, height)


@pytest.mark.parametrize("matrix", ["bt709", "bt2020nc", "bt2020c", "GBR", "YCgCo", "ICtCp", "chroma-derived-nc"])
def test_every_colour_matrix_gives_a_picture(matrix: str, tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=0.2, options={"x264-params": f"colormatrix={matrix}"}).save(tmp_path / "film.mp4")
    assert look(film, artwork)[1].width == 320


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_recordings_that_do_not_say_how_long_they_are(name: str, tmp_path: Path, artwork: Path) -> None:
    """As browsers' recorders and live encoders write them: fragments, no duration, no index."""
    path = tmp_path / name
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if name.endswith("mp4") else {"live": "1"}
    Film(seconds=6, container=flags).save(path)
    info, thumbnail = look(path, artwork)
    assert info.duration_sec == pytest.approx(6, abs=0.15)
    assert thumbnail.shade() == pytest.approx(luma_at(0), abs=2)


def test_cover_art_is_not_the_film(tmp_path: Path, artwork: Path) -> None:
    song = tmp_path / "song.mp4"
    with av.open(str(song), "w") as output:
        sound = output.add_stream("aac", rate=48000)
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame(64, 64, "yuvj420p")
        frame.pts = 0
        output.mux(cover.encode(frame))
        output.mux(cover.encode(None))
        samples = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        samples.sample_rate, samples.pts = 48000, 0
        for plane in samples.planes:
            plane.update(bytes(plane.buffer_size))
        output.mux(sound.encode(samples))
        output.mux(sound.encode(None))
    assert failure_of(song, artwork) == domain.NO_VIDEO_TRACK


def test_junk_behind_a_whole_film_is_tolerated(moov_first: Path, tmp_path: Path, artwork: Path) -> None:
    film = saved(tmp_path / "film.mp4", moov_first.read_bytes() + bytes(1000) + b"\xff" * 1000)
    assert look(film, artwork)[0].video_codec == "H.264"


def test_an_older_thumbnail_is_replaced(moov_first: Path, artwork: Path) -> None:
    (artwork / "thumbnail.jpg").write_bytes(b"old")
    _, thumbnail = look(moov_first, artwork)
    assert thumbnail.width == 320
    assert (artwork / "thumbnail.jpg").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "name",
    [
        "-i",
        "two\nlines.mp4",
        "한글 " * 25 + ".mp4",
        "concat:a|b",
        "http:example.org",
        "'\"$(id)`;&|<>*?%s%n.mp4",
        "\udcff.mp4",
    ],
)
def test_hostile_file_names_make_no_difference(name: str, moov_first: Path, tmp_path: Path, artwork: Path) -> None:
    source = tmp_path / name
    shutil.copyfile(moov_first, source)
    assert look(source, artwork)[0].video_codec == "H.264"


async def test_two_files_at_once(moov_first: Path, webm: Path, artwork: Path) -> None:
    one, other = await asyncio.gather(process(moov_first, artwork / "one.jpg"), process(webm, artwork / "other.jpg"))
    assert (one.video_codec, other.video_codec) == ("H.264", "VP9")
    assert names(artwork) == ["one.jpg", "other.jpg"]


# --- What is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", domain.EMPTY_FILE),
        (b"\0", domain.NOT_A_VIDEO),
        (b"Dear diary, this is not a film.\n" * 50, domain.NOT_A_VIDEO),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", domain.NOT_A_VIDEO),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", domain.NOT_A_VIDEO),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", domain.NOT_A_VIDEO),
        (b"RIFF\xff\xff\0\0AVI LIST", domain.UNSUPPORTED_CONTAINER),
        (b"FLV\x01\x05", domain.UNSUPPORTED_CONTAINER),
        (b"OggS\0\x02", domain.UNSUPPORTED_CONTAINER),
        ((b"\x47" + bytes(187)) * 5, domain.UNSUPPORTED_CONTAINER),
        (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01", domain.UNSUPPORTED_CONTAINER),
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84test", domain.UNSUPPORTED_CONTAINER),
        (b"\x1a\x45\xdf\xa3\x80", domain.UNSUPPORTED_CONTAINER),
        (b"\x1a\x45\xdf\xa3", domain.DAMAGED),
        (b"\x1a\x45\xdf\xa3\x00", domain.DAMAGED),
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm", domain.TRUNCATED),
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webmABCDEFGH", domain.DAMAGED),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom", domain.TRUNCATED),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\xf1\xe2\xd3\xc4" * 300, domain.NOT_A_VIDEO),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\0\0\0\x08free" + b"\xf1\xe2\xd3\xc4" * 300, domain.DAMAGED),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\0\0\0\x08moov" + b"\0\0\0\x08mdat", domain.NO_VIDEO_TRACK),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\0\0\0\x01moov\0\0", domain.TRUNCATED),
    ],
)
def test_file_without_video_track_is_refused(content: bytes, code: str, tmp_path: Path, artwork: Path) -> None:
    assert failure_of(saved(tmp_path / "film.mp4", content), artwork) == code


def test_picture_file_is_no_video(tmp_path: Path, artwork: Path) -> None:
    with av.open(str(tmp_path / "picture.png"), "w", format="image2pipe") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        output.mux(stream.encode(av.VideoFrame(64, 64, "rgb24")))
        output.mux(stream.encode(None))
    shutil.move(tmp_path / "picture.png", tmp_path / "film.mp4")
    assert failure_of(tmp_path / "film.mp4", artwork) == domain.NOT_A_VIDEO


def test_audio_file_is_refused(tmp_path: Path, artwork: Path) -> None:
    song = Film(seconds=1, codec=None, sound="aac").save(tmp_path / "song.mp4")
    assert failure_of(song, artwork) == domain.NO_VIDEO_TRACK


def test_codec_without_allowed_decoder_is_refused(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=1, codec="ffv1").save(tmp_path / "film.mkv")
    assert failure_of(film, artwork) == domain.UNSUPPORTED_CODEC


def test_unknown_codec_is_refused(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=1, codec="mpeg4").save(tmp_path / "film.mp4")
    data = film.read_bytes().replace(b"mp4v", b"xxxx").replace(b"esds", b"yyyy")
    assert failure_of(saved(film, data), artwork) == domain.UNSUPPORTED_CODEC


def test_copy_protected_file_is_refused(tmp_path: Path, artwork: Path) -> None:
    film = Film(
        seconds=1,
        container={
            "encryption_scheme": "cenc-aes-ctr",
            "encryption_key": "00112233445566778899aabbccddeeff",
            "encryption_kid": "ffeeddccbbaa99887766554433221100",
        },
    ).save(tmp_path / "film.mp4")
    assert failure_of(film, artwork) == domain.PROTECTED


@pytest.mark.parametrize("which", ["moov_first", "moov_last", "webm"])
@pytest.mark.parametrize("percent", [1, 30, 90, 99])
def test_truncated_file_is_refused(
    which: str, percent: int, request: pytest.FixtureRequest, tmp_path: Path, artwork: Path
) -> None:
    whole = request.getfixturevalue(which).read_bytes()
    part = saved(tmp_path / "film", whole[: len(whole) * percent // 100])
    assert failure_of(part, artwork) == domain.TRUNCATED


def test_truncated_where_the_last_box_has_no_size(moov_first: Path, tmp_path: Path, artwork: Path) -> None:
    """A size of 0 means "to the end of the file", so only the sample table knows what is missing."""
    data = bytearray(moov_first.read_bytes())
    start, end = boxes(bytes(data))["mdat"]
    assert end == len(data)
    data[start : start + 4] = bytes(4)
    assert look(saved(tmp_path / "film.mp4", bytes(data)), artwork)[0].audio_codec
    (artwork / "thumbnail.jpg").unlink()
    cut = saved(tmp_path / "film.mp4", bytes(data[: start + (end - start) // 2]))
    assert failure_of(cut, artwork) == domain.TRUNCATED


def test_file_without_decodable_picture_is_refused(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=2).save(tmp_path / "film.mp4")
    data = bytearray(film.read_bytes())
    start, end = boxes(bytes(data))["mdat"]
    data[start + 8 : end] = bytes(end - start - 8)
    assert failure_of(saved(film, bytes(data)), artwork) == domain.NO_PICTURE


def test_impossibly_long_duration_is_damage(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=1).save(tmp_path / "film.mp4")
    data = bytearray(film.read_bytes())
    one, ages = b"\0\0\0\x01", b"\0\xff\xff\xff"
    for name, offset, value in (
        (b"mvhd", 16, one),
        (b"mvhd", 20, ages),
        (b"tkhd", 24, ages),
        (b"mdhd", 16, one),
        (b"mdhd", 20, ages),
        (b"elst", 12, ages),
        (b"stts", 16, ages),
    ):
        at = data.index(name) + offset
        data[at : at + 4] = value
    assert failure_of(saved(film, bytes(data)), artwork) == domain.DAMAGED


def test_a_damaged_head_is_not_blamed_on_the_disk(tmp_path: Path, artwork: Path) -> None:
    """FFmpeg says "input/output error" here, and the file would be tried again for ever."""
    film = Film(seconds=2, codec="libvpx-vp9").save(tmp_path / "film.webm")
    data = bytearray(film.read_bytes())
    data[data.rindex(b"\x15\x49\xa9\x66")] = 0xFF  # the id of the element Info
    with pytest.raises(av.error.OSError, match="Errno 5"):
        av.open(str(saved(film, bytes(data))), format="matroska")
    assert failure_of(film, artwork) == domain.DAMAGED


@pytest.mark.parametrize(
    ("number", "kind", "blamed"),
    [
        (errno.ESTALE, av.error.OSError, True),
        (errno.EIO, OSError, True),
        (errno.EIO, av.error.OSError, False),
        (errno.EPERM, av.error.PermissionError, False),
    ],
)
def test_errors_are_attributed_to_disk_or_file(
    number: int, kind: type[OSError], *, blamed: bool, moov_first: Path
) -> None:
    with moov_first.open("rb") as file:
        assert child.is_failure_to_read(kind(number, "an error"), file.fileno()) is blamed


def test_disk_that_fails_again_is_to_blame() -> None:
    nothing_open = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert child.is_failure_to_read(av.error.OSError(errno.EIO, "an error"), nothing_open)
    finally:
        os.close(nothing_open)


def test_a_picture_that_is_too_large(moov_first: Path, artwork: Path) -> None:
    assert failure_of(moov_first, artwork, Limits(max_pixels=320 * 180 - 1)) == domain.UNSUPPORTED_RESOLUTION


def test_folder_is_no_video(tmp_path: Path, artwork: Path) -> None:
    assert failure_of(tmp_path, artwork) == domain.NOT_A_VIDEO


def test_a_named_pipe_is_not_waited_for(tmp_path: Path, artwork: Path) -> None:
    os.mkfifo(tmp_path / "film.mp4")
    assert failure_of(tmp_path / "film.mp4", artwork) == domain.NOT_A_VIDEO


@pytest.mark.parametrize("name", ["missing.mp4", "moov-first.mp4/inside"])
def test_missing_file_is_reported(name: str, moov_first: Path, artwork: Path) -> None:
    assert failure_of(moov_first.parent / name, artwork) == domain.FILE_MISSING


@pytest.mark.parametrize("name", ["x" * 300, "nul\0.mp4"])
def test_impossible_file_name_is_unreadable(name: str, tmp_path: Path, artwork: Path) -> None:
    assert failure_of(tmp_path / name, artwork) == domain.FILE_UNREADABLE


def test_a_thumbnail_that_can_not_be_saved(moov_first: Path, tmp_path: Path, artwork: Path) -> None:
    (artwork / "thumbnail.jpg").mkdir()
    for target in (tmp_path / "gone" / "thumbnail.jpg", artwork / "thumbnail.jpg"):
        with pytest.raises(MediaError) as caught:
            asyncio.run(process(moov_first, target))
        assert caught.value.failure.code == domain.THUMBNAIL_UNWRITABLE
    assert not (tmp_path / "gone").exists()
    assert names(artwork) == ["thumbnail.jpg"]


def test_a_server_without_temporary_space(
    moov_first: Path, tmp_path: Path, artwork: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        assert failure_of(moov_first, artwork) == domain.SERVER_BUSY


# --- What a file can not reach -----------------------------------------------------------------------------


class Watch:
    """Tells whether a file was opened (inotify(7))."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        in_open = 0x20
        assert libc.inotify_add_watch(self._fd, os.fsencode(path), in_open) > 0

    def was_opened(self) -> bool:
        try:
            return bool(os.read(self._fd, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._fd)


@pytest.mark.parametrize(
    "script",
    [
        "#EXTM3U\n#EXTINF:1,\nfile://{canary}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:1,\n{canary}\n#EXTINF:1,\nhttp://127.0.0.1:{port}/canary.ts\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:{port}/canary.m3u8\n",
        "ffconcat version 1.0\nfile 'file:{canary}'\n",
        "file:{canary}",
        "http://127.0.0.1:{port}/canary.mp4\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    ],
)
def test_scripts_reach_neither_files_nor_network(script: str, moov_first: Path, tmp_path: Path, artwork: Path) -> None:
    canary = tmp_path / "canary.mp4"
    shutil.copyfile(moov_first, canary)
    watch = Watch(canary)
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = script.format(canary=canary, port=server.getsockname()[1])
        assert failure_of(saved(tmp_path / "film.mp4", text.encode()), artwork) == domain.NOT_A_VIDEO
        assert select.select([server], [], [], 0) == ([], [], [])
    assert not watch.was_opened()
    canary.read_bytes()
    assert watch.was_opened(), "the watch itself does not work"
    watch.close()


async def ask(source: Path, limits: Limits = inspection.DEFAULT_LIMITS) -> bytes:
    with source.open("rb") as file:
        return await inspection._ask_child(file, limits)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that replaces the child's program; `child` and its `job` are available in it."""

    def put(body: str) -> None:
        head = f"""
import json, os, signal, socket, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "libs")!r}]
from services.thumbnailer.media import child
job = json.loads(sys.argv[1])
"""
        child = saved(tmp_path / "child.py", (head + textwrap.dedent(body)).encode())
        monkeypatch.setattr(inspection, "_CHILD", child)

    return put


def test_the_child_can_reach_nothing(stand_in: Callable[[str], None], moov_first: Path) -> None:
    stand_in("""
    import ctypes, resource
    isolated = child.confine(job)
    def made_by(result):
        if result == -1:
            raise OSError
    def tried(action):
        try:
            action()
        except OSError:
            return "refused"
        return "done"
    made = {
        "read": tried(lambda: open("/etc/passwd")),
        "write": tried(lambda: open("left-behind", "w")),
        "talk": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        "listen": tried(lambda: socket.socket(socket.AF_UNIX)),
        "run": tried(lambda: os.execv("/bin/true", ["true"])),
        "kill": tried(lambda: os.kill(job["parent_pid"], 0)),
        "grow": tried(lambda: os.pwrite(1, b"x", job["answer_bytes"])),
        "environment": dict(os.environ),
        "isolated": isolated,
        "change": tried(lambda: os.fchmod(0, 0o644)),
        "change by path": tried(lambda: os.chmod("/etc/passwd", 0o644)),
        "date by path": tried(lambda: os.utime("/etc/passwd")),
        "look": tried(lambda: os.stat("/etc/passwd")),
        "limit": tried(lambda: resource.prlimit(job["parent_pid"], resource.RLIMIT_NOFILE)),
        "fork": tried(os.fork),
        "share": tried(lambda: made_by(ctypes.CDLL(None, use_errno=True).shmget(0, 4096, 0o1600))),
        "session": os.getsid(0) == os.getpid(),
        "nice": os.nice(0),
    }
    os.write(1, json.dumps(made).encode())
    """)
    made = json.loads(asyncio.run(ask(moov_first)))
    refused = {what for what, came_of_it in made.items() if came_of_it == "refused"}
    assert refused == {
        *("read", "write", "talk", "listen", "run", "kill", "grow", "change", "change by path", "date by path"),
        *("look", "limit", "fork", "share"),
    }
    assert set(made["environment"]) <= {"LC_CTYPE"}
    assert made["isolated"]
    assert made["session"]
    assert made["nice"] >= 10


def test_a_server_that_can_not_confine_the_child_opens_no_file(
    stand_in: Callable[[str], None], moov_first: Path, artwork: Path
) -> None:
    stand_in("""
    from sandbox import seccomp
    seccomp._SECCOMP = {name: 1_000_000 for name in seccomp._SECCOMP}  # no such call
    child.probe = lambda *_: os.abort()
    child.main()
    """)
    assert failure_of(moov_first, artwork) == domain.SERVER_BUSY


def test_processes_left_by_the_decoder_are_killed(
    stand_in: Callable[[str], None], moov_first: Path, tmp_path: Path, artwork: Path
) -> None:
    mark = tmp_path / "left"
    # It does so before it is confined, when it still can.
    stand_in(f"""
    if (forked := os.fork()) == 0:
        signal.pause()
    with open({str(mark)!r}, "w") as file:
        file.write(str(forked))
    raise SystemExit(3)
    """)
    assert failure_of(moov_first, artwork) == domain.DECODER_CRASHED
    stat, deadline = Path("/proc", mark.read_text(), "stat"), time.monotonic() + 60
    while not has_ended(stat):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_ended(stat: Path) -> bool:
    """Return whether a process has ended, even if it was not waited for."""
    try:
        return stat.read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True


# --- Limits and endings ------------------------------------------------------------------------------------


def test_time_limit(moov_first: Path, artwork: Path) -> None:
    assert failure_of(moov_first, artwork, Limits(wall_sec=0.001)) == domain.TIME_LIMIT


def test_time_limit_while_the_child_works(stand_in: Callable[[str], None], moov_first: Path, artwork: Path) -> None:
    stand_in("signal.pause()")
    assert failure_of(moov_first, artwork, Limits(wall_sec=0.3)) == domain.TIME_LIMIT


def test_processor_limit(stand_in: Callable[[str], None], moov_first: Path, artwork: Path) -> None:
    stand_in("child.confine(job)\nwhile True: pass")
    assert failure_of(moov_first, artwork, Limits(cpu_sec=1)) == domain.TIME_LIMIT


@pytest.mark.parametrize("mebibytes", [1, 100, 136])
def test_memory_limit(mebibytes: int, tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=0.1, codec="mpeg4", size=(3840, 2160)).save(tmp_path / "film.mp4")
    assert failure_of(film, artwork, Limits(memory_bytes=mebibytes * 2**20)) == domain.MEMORY_LIMIT


def test_a_quarter_of_the_default_memory_is_enough_for_4k(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=0.3, codec="mpeg4", size=(3840, 2160)).save(tmp_path / "film.mp4")
    asyncio.run(
        process(film, artwork / "thumbnail.jpg", Limits(memory_bytes=inspection.DEFAULT_LIMITS.memory_bytes // 4))
    )


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", domain.DECODER_CRASHED),
        ("os.kill(os.getpid(), signal.SIGABRT)", domain.DECODER_CRASHED),
        ("os.kill(os.getpid(), signal.SIGKILL)", domain.INTERRUPTED),
        ("os.kill(os.getpid(), signal.SIGTERM)", domain.INTERRUPTED),
        ("raise SystemExit(3)", domain.DECODER_CRASHED),
        ("os.write(1, b'x' * 3_000_000)", domain.DECODER_CRASHED),
        ("pass", domain.DECODER_CRASHED),
    ],
)
def test_endings_of_the_child(
    ending: str, code: str, stand_in: Callable[[str], None], moov_first: Path, artwork: Path
) -> None:
    stand_in(ending)
    assert failure_of(moov_first, artwork) == code


async def test_cancelling_kills_the_child(
    stand_in: Callable[[str], None], moov_first: Path, tmp_path: Path, artwork: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    stand_in(f"open({str(pipe)!r}, 'w').write(str(os.getpid()))\nsignal.pause()")
    working = asyncio.create_task(process(moov_first, artwork / "thumbnail.jpg"))
    child = int(await asyncio.to_thread(pipe.read_text))
    os.kill(child, 0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert names(artwork) == []


async def test_cancelling_before_anything_happened(moov_first: Path, artwork: Path) -> None:
    working = asyncio.create_task(process(moov_first, artwork / "thumbnail.jpg"))
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert_no_children()


def test_the_child_dies_with_its_parent(
    stand_in: Callable[[str], None], moov_first: Path, tmp_path: Path, artwork: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Opens the pipe before it may open nothing any more, and keeps it open for as long as it lives.
    stand_in(f"""
    out = open({str(pipe)!r}, "w")
    child.confine(job)
    out.write("here\\n")
    out.flush()
    signal.pause()
    """)
    program = f"""
import asyncio, pathlib, tempfile
from services.thumbnailer.media import inspection
tempfile.tempdir = {str(tmp_path)!r}
inspection._CHILD = pathlib.Path({str(inspection._CHILD)!r})
source, thumbnail = pathlib.Path({str(moov_first)!r}), pathlib.Path({str(artwork / "thumbnail.jpg")!r})
asyncio.run(inspection.process(source, thumbnail))
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT) as parent, pipe.open() as output:  # noqa: S603 - made above
        assert output.readline() == "here\n"
        parent.send_signal(signal.SIGKILL)
        assert output.read() == ""  # comes only when the child is gone
    assert names(artwork) == []


# --- What the parent believes ------------------------------------------------------------------------------

GOOD = {
    "container": "mp4",
    "duration_sec": 1.5,
    "video_codec": "h264",
    "audio_codec": None,
    "width": 320,
    "height": 180,
    "isolated": True,
    "jpeg": base64.b64encode(b"\xff\xd8\xff\xd9").decode(),
}


def parsed(answer: bytes) -> MediaInfo:
    return inspection._parse_answer(answer, 3000, inspection.DEFAULT_LIMITS)[0]


def test_valid_answer_of_the_child_is_accepted() -> None:
    assert parsed(json.dumps(GOOD).encode()).bitrate_bps == 16_000
    assert parsed(json.dumps(GOOD | {"audio_codec": "aac"}).encode()).audio_codec == "AAC"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("container", "avi"),
        ("container", None),
        ("container", ["mp4"]),
        ("duration_sec", math.nan),
        ("duration_sec", math.inf),
        ("duration_sec", -1),
        ("duration_sec", 1e300),
        ("duration_sec", "1"),
        ("duration_sec", True),
        ("video_codec", ""),
        ("video_codec", "x" * 1000),
        ("video_codec", "<script>"),
        ("video_codec", "h264\n"),
        ("video_codec", None),
        ("audio_codec", 7),
        ("width", 0),
        ("width", -320),
        ("width", 320.0),
        ("width", True),
        ("width", 10**30),
        ("height", None),
        ("jpeg", ""),
        ("jpeg", None),
        ("jpeg", "not base 64!"),
        ("jpeg", "ééé"),
        ("jpeg", base64.b64encode(b"<html>").decode()),
        ("failure", "REASON_OF_MY_OWN"),
    ],
)
def test_invalid_answer_of_the_child_is_refused(part: str, value: object) -> None:
    answer = {key: good for key, good in GOOD.items() if part != "failure"} | {part: value}
    with pytest.raises(MediaError) as caught:
        parsed(json.dumps(answer).encode())
    assert caught.value.failure.code == domain.DECODER_CRASHED


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b"[]", b"null", b"7", b'"x"', b"\xff", b"[" * 100_000, b"9" * 10_000, b'{"failure":[]}'],
)
def test_invalid_responses_are_refused(answer: bytes) -> None:
    with pytest.raises(MediaError) as caught:
        parsed(answer)
    assert caught.value.failure.code == domain.DECODER_CRASHED


@given(st.binary(max_size=200))
def test_any_answer_is_understood_or_an_error(answer: bytes) -> None:
    with pytest.raises(MediaError):
        parsed(answer)


# --- Damage ------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.data())
def test_damaged_files_never_hurt_the_parent(
    damage: st.DataObject, moov_last: Path, webm: Path, tmp_path: Path, artwork: Path
) -> None:
    whole = damage.draw(st.sampled_from([moov_last, webm])).read_bytes()
    # Where the structure is: the index at the end of an MP4, the head of a WebM.
    start, end = boxes(whole)["moov"] if whole[4:8] == b"ftyp" else (0, 1000)
    data = bytearray(whole)
    for at in damage.draw(st.lists(st.integers(start, end - 1), min_size=1, max_size=12)):
        data[at] ^= damage.draw(st.integers(1, 255))
    (artwork / "thumbnail.jpg").unlink(missing_ok=True)
    outcome = asyncio.run(outcome_of(saved(tmp_path / "film", bytes(data)), artwork / "thumbnail.jpg"))
    if isinstance(outcome, MediaError):
        assert names(artwork) == []
        assert domain.is_failure_code(outcome.failure.code)
    else:
        assert names(artwork) == ["thumbnail.jpg"]
        assert Thumbnail.read(artwork / "thumbnail.jpg").width == 320
        assert outcome.duration_sec >= 0
    assert_no_children()


async def outcome_of(source: Path, thumbnail: Path) -> MediaInfo | MediaError:
    try:
        return await process(source, thumbnail)
    except MediaError as error:
        return error
