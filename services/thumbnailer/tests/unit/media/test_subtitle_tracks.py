"""Embedded subtitles become WebVTT."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from services.thumbnailer.domain import JobKind
from services.thumbnailer.media import subtitle_tracks
from services.thumbnailer.results import Subtitles
from services.thumbnailer.tests.unit.films import Film
from services.thumbnailer.tests.unit.media.support import made_of, saved

SRT = """1
00:00:00,500 --> 00:00:01,500
Hello <i>you</i> & {\\an8}<font color="red">me</font>

2
00:00:01,750 --> 00:00:02,250
한국어 -->
two lines

"""


def with_tracks(folder: Path, name: str, codecs: list[str], *more: str) -> Path:
    film = Film(seconds=3, size=(64, 36)).save(folder / "plain.mp4")
    subtitles = saved(folder / "film.srt", SRT.encode())
    inputs = [part for _ in codecs for part in ("-i", str(subtitles))]
    maps = [part for number in range(len(codecs) + 1) for part in ("-map", str(number))]
    choices = [part for number, codec in enumerate(codecs) for part in (f"-c:s:{number}", codec)]
    target = folder / name
    command = ["ffmpeg", "-v", "error", "-i", str(film), *inputs, *maps, "-c:v", "copy", *choices, *more, str(target)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 - made above
    return target


def extracted(film: Path) -> tuple[Subtitles, list[str]]:
    report = made_of(film, [JobKind.SUBTITLES])
    assert not report.failures
    tracks = report.results[JobKind.SUBTITLES]
    assert isinstance(tracks, Subtitles)
    return tracks, [content.decode() for content in report.files[JobKind.SUBTITLES].values()]


def test_text_tracks_of_matroska(tmp_path: Path) -> None:
    more = ["-metadata:s:s:0", "language=kor", "-metadata:s:s:1", "title=Signs", "-disposition:s:1", "forced"]
    film = with_tracks(tmp_path, "film.mkv", ["subrip", "ass", "webvtt"], *more)
    tracks, texts = extracted(film)
    assert [(track.codec, track.language, track.title, track.forced) for track in tracks.tracks] == [
        ("SubRip", "kor", "", False),
        ("ASS", "", "Signs", True),
        ("WebVTT", "", "", False),
    ]
    for text in texts:
        assert text.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nHello <i>you</i> &amp; me\n\n")
        assert text.endswith("00:00:01.750 --> 00:00:02.250\n한국어 --&gt;\ntwo lines\n")


def test_timed_text_of_mp4(tmp_path: Path) -> None:
    tracks, (text,) = extracted(with_tracks(tmp_path, "film.mp4", ["mov_text"]))
    assert [track.codec for track in tracks.tracks] == ["Timed Text"]
    assert "00:00:01.750 --> 00:00:02.250\n한국어 --&gt;\ntwo lines\n" in text


def test_facts_list_the_tracks(tmp_path: Path) -> None:
    report = made_of(with_tracks(tmp_path, "film.mkv", ["subrip", "ass"]), [JobKind.FACTS])
    assert report.facts
    assert [(track.index, track.text) for track in report.facts.details.subtitles] == [(1, True), (2, True)]


def test_two_hundred_tracks(tmp_path: Path) -> None:
    """All are listed; of the texts a bounded number is converted."""
    report = made_of(with_tracks(tmp_path, "film.mkv", ["subrip"] * 200))
    assert not report.failures
    assert report.facts
    assert len(report.facts.details.subtitles) == 200
    assert len(report.files[JobKind.SUBTITLES]) == subtitle_tracks.MAX_EXTRACTED


def test_film_without_text_has_none(moov_first: Path) -> None:
    assert extracted(moov_first) == (Subtitles(()), [])


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (b"0,0,Default,,0,0,0,,{\\i1}slanted{\\i0} plain\\Nnext", "<i>slanted</i> plain\nnext"),
        (b"0,0,Default,,0,0,0,,{\\b1}{\\i1}both", "<b><i>both</i></b>"),
        (b"0,0,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}", ""),
        (b"0,0,Default,,0,0,0,,{\\pos(1,2)\\b700}a, b", "a, b"),
        (b"0,0,Default,,0,0,0,,<script>", "&lt;script&gt;"),
        (b"0,0", ""),
        (b"", ""),
        (b"\xff\xfe" * 1000, ""),
    ],
)
def test_ass_keeps_what_webvtt_can_say(packet: bytes, expected: str) -> None:
    assert subtitle_tracks._ass(packet) == expected


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (b"<B>bold</B> <script>alert(1)</script> a<b", "<b>bold</b> alert(1) a&lt;b"),
        (b"one\r\n\r\n\r\n  two  \x00\x1b[31m", "one\ntwo  [31m"),
        (b"00:00:01.000 --> 00:00:02.000", "00:00:01.000 --&gt; 00:00:02.000"),
        (b"<i" * 5000, "&lt;i" * 5000),
        (b"{" * 5000 + b"\\" * 5000, "{" * 5000 + "\\" * 5000),
    ],
)
def test_subrip_can_not_break_out_of_a_cue(packet: bytes, expected: str) -> None:
    assert subtitle_tracks._subrip(packet) == expected


def test_timed_text_is_cut_at_its_length() -> None:
    assert subtitle_tracks._timed_text(b"\0\x02ab\0\0\0\x10styl") == "ab"
    assert subtitle_tracks._timed_text(b"\xff\xffab") == "ab"
    assert subtitle_tracks._timed_text(b"\0") == ""
