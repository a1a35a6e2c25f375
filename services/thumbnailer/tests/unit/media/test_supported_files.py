"""Files that get a thumbnail."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from services.thumbnailer import domain
from services.thumbnailer.tests.unit.films import Film, luma_at, white_corner
from services.thumbnailer.tests.unit.media.support import BLACK, WHITE, boxes, failure_of, look, names, process, saved


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
