"""Storyboard, posters and subtitles of hostile files: a result or a reason, never a hang or a leftover."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import av
import pytest

from services.thumbnailer import domain
from services.thumbnailer.domain import INSPECTIONS, JobKind
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.media.inspection import Limits, inspect
from services.thumbnailer.results import Report
from services.thumbnailer.tests.unit.films import Film
from services.thumbnailer.tests.unit.media.support import PATIENT, assert_no_children, made_of, saved

ARTWORK = (JobKind.THUMBNAIL, JobKind.POSTERS, JobKind.STORYBOARD, JobKind.SUBTITLES)
THIRTY_HOURS = 30 * 3600


def outcome_of(source: Path, limits: Limits = PATIENT) -> Report | str:
    """Return the results of all jobs of artwork, or the code of the failure."""
    try:
        return asyncio.run(inspect(source, ARTWORK, limits))
    except MediaError as error:
        return error.failure.code
    finally:
        assert_no_children()


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1/"/></svg>',
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
        b"http://127.0.0.1/film.mp4\n",
    ],
    ids=["m3u8", "concat", "svg", "entity", "strm"],
)
def test_renamed_playlists_and_pictures(content: bytes, tmp_path: Path) -> None:
    assert outcome_of(saved(tmp_path / "film.mp4", content)) == domain.NOT_A_VIDEO


@pytest.mark.parametrize("part", range(10))
def test_cut_files_have_results_or_a_reason(part: int, moov_first: Path, tmp_path: Path) -> None:
    whole = moov_first.read_bytes()
    for step in range(5):
        cut = whole[: len(whole) * (part * 5 + step) // 50]
        outcome = outcome_of(saved(tmp_path / "film.mp4", cut))
        assert outcome in {domain.EMPTY_FILE, domain.TRUNCATED, domain.NOT_A_VIDEO, domain.DAMAGED}


def test_sound_only(tmp_path: Path) -> None:
    film = Film(seconds=2, codec=None, sound="aac").save(tmp_path / "film.mp4")
    assert outcome_of(film) == domain.NO_VIDEO_TRACK


@pytest.mark.parametrize("seconds", [0, THIRTY_HOURS])
def test_durations_that_lie(seconds: int, moov_first: Path, tmp_path: Path) -> None:
    """The header says no duration at all, or thirty hours: there is a picture for each cue of what is said."""
    data = bytearray(moov_first.read_bytes())
    at = 0
    while (at := data.find(b"mvhd", at + 1)) >= 0:
        struct.pack_into(">I", data, at + 20, seconds * struct.unpack_from(">I", data, at + 16)[0])
    outcome = outcome_of(saved(tmp_path / "film.mp4", bytes(data)))
    assert isinstance(outcome, Report)
    assert JobKind.THUMBNAIL in outcome.results
    assert not outcome.failures or set(outcome.failures) == {JobKind.STORYBOARD}


def test_film_of_thirty_hours(tmp_path: Path) -> None:
    """Few pictures that are hours apart: each cue has one, and sheets are bounded."""
    options = {"x264-params": "scenecut=0"}
    film = Film(seconds=3, size=(32, 18), options=options).save(tmp_path / "short.mp4")
    slow = tmp_path / "film.mkv"
    with av.open(str(film)) as source, av.open(str(slow), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is None or packet.pts is None:
                continue
            packet.pts, packet.dts = packet.pts * 36_000, packet.dts * 36_000
            packet.stream = stream
            target.mux(packet)
    report = made_of(slow, [JobKind.FACTS, JobKind.STORYBOARD])
    assert report.facts
    assert report.facts.info.duration_sec > THIRTY_HOURS * 0.9
    assert JobKind.STORYBOARD in report.results or report.failures[JobKind.STORYBOARD].permanent


def test_8k_picture(tmp_path: Path) -> None:
    film = Film(seconds=0.1, codec="mpeg4", size=(7680, 4320)).save(tmp_path / "film.mp4")
    report = made_of(film, limits=Limits(wall_sec=300, cpu_sec=120))
    assert not report.failures
    assert set(report.results) == set(INSPECTIONS)


@pytest.mark.parametrize("mebibytes", [1, 100, 136])
def test_memory_that_is_too_small(mebibytes: int, tmp_path: Path) -> None:
    film = Film(seconds=0.1, codec="mpeg4", size=(3840, 2160)).save(tmp_path / "film.mp4")
    assert outcome_of(film, Limits(memory_bytes=mebibytes * 2**20)) == domain.MEMORY_LIMIT


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("hevc.mp4", Film(seconds=2, codec="libx265")),
        ("vp9.webm", Film(seconds=2, codec="libvpx-vp9")),
        ("turned.mp4", Film(seconds=2, turned=90)),
        ("silent.mkv", Film(seconds=2)),
        ("narrow.mp4", Film(seconds=1, size=(16, 256))),
    ],
)
def test_supported_films_have_all_artwork(name: str, film: Film, tmp_path: Path) -> None:
    report = made_of(film.save(tmp_path / name))
    assert not report.failures
    assert set(report.results) == set(INSPECTIONS)


def test_damaged_pictures_fail_alone(moov_first: Path, tmp_path: Path) -> None:
    """The first key frame is whole, all others are noise: the thumbnail is made, the storyboard says why not."""
    data = bytearray(moov_first.read_bytes())
    start = data.find(b"mdat") + 4
    for at in range(start + (len(data) - start) // 6, len(data) - 1):
        data[at] = (at * 7919) & 0xFF
    outcome = outcome_of(saved(tmp_path / "film.mp4", bytes(data)))
    if isinstance(outcome, Report):
        assert all(domain.is_failure_code(failure.code) for failure in outcome.failures.values())
        assert set(outcome.results) | set(outcome.failures) == set(ARTWORK)
    else:
        assert domain.is_failure_code(outcome)
