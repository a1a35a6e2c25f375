"""Storyboards: how many pictures, which, and where on the sheets."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.thumbnailer.domain import JobKind, storyboard_cues
from services.thumbnailer.results import Storyboard
from services.thumbnailer.tests.unit.films import Film, Thumbnail, luma_at
from services.thumbnailer.tests.unit.media.support import made_of, saved

SMALL = (64, 36)


def grey(_second: float, width: int, height: int) -> list[bytes]:
    """Return a picture that is quick to encode."""
    return [bytes([60]) * width] * height


def storyboard_of(film: Path, folder: Path) -> tuple[Storyboard, list[Thumbnail]]:
    report = made_of(film, [JobKind.STORYBOARD])
    assert not report.failures
    layout = report.results[JobKind.STORYBOARD]
    assert isinstance(layout, Storyboard)
    files = report.files[JobKind.STORYBOARD]
    return layout, [Thumbnail.read(saved(folder / name, content)) for name, content in files.items()]


def shade_of(layout: Storyboard, sheets: list[Thumbnail], number: int) -> int:
    """Return the brightness in the middle of a picture, of 16 to 235."""
    sheet, place = divmod(number, 100)
    row, column = divmod(place, 10)
    y, x = int((row + 0.5) * layout.tile_height), int((column + 0.5) * layout.tile_width)
    return round(16 + sheets[sheet].rows[y][x] * 219 / 255)


@pytest.mark.parametrize(
    ("duration", "interval", "count"),
    [
        (0, 10, 1),
        (0.2, 1, 1),
        (5, 1, 5),
        (5.5, 1, 6),
        (40, 2, 20),
        (200, 10, 20),
        (600, 10, 60),
        (605, 10, 61),
        (7200, 10, 720),
        (108_000, 10, 10_800),
        (float("inf"), 10, 1),
        (float("nan"), 10, 1),
    ],
)
def test_cues_cover_the_whole_film(duration: float, interval: float, count: int) -> None:
    assert storyboard_cues(duration) == (interval, count)


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.mov"])
def test_pictures_are_within_a_key_frame_of_their_cue(name: str, tmp_path: Path) -> None:
    film = Film(seconds=20, size=SMALL, key_frame_sec=2).save(tmp_path / name)
    layout, sheets = storyboard_of(film, tmp_path)
    assert (layout.tiles, layout.interval_sec, len(sheets)) == (20, 1, 1)
    assert (sheets[0].width, sheets[0].height) == (1600, 2 * layout.tile_height)
    for number in range(layout.tiles):
        expected = {luma_at(max(0, number - behind)) for behind in (0, 1, 2)}
        assert any(abs(shade_of(layout, sheets, number) - each) < 5 for each in expected)


@pytest.mark.parametrize(
    ("name", "container"), [("live.mkv", {"live": "1"}), ("film.mp4", {"movflags": "frag_keyframe+empty_moov"})]
)
def test_films_without_an_index_are_read_through(name: str, container: dict[str, str], tmp_path: Path) -> None:
    film = Film(seconds=12, size=SMALL, key_frame_sec=1, container=container).save(tmp_path / name)
    layout, sheets = storyboard_of(film, tmp_path)
    assert layout.tiles == 12
    for number in range(layout.tiles):
        assert abs(shade_of(layout, sheets, number) - luma_at(number)) < 14


def test_long_films_have_several_sheets(tmp_path: Path) -> None:
    options = {"x264-params": "scenecut=0"}
    film = Film(seconds=1015, size=(32, 18), key_frame_sec=10, paint=grey, options=options)
    layout, sheets = storyboard_of(film.save(tmp_path / "film.mp4"), tmp_path)
    assert (layout.tiles, len(sheets)) == (102, 2)
    assert (sheets[1].width, sheets[1].height) == (320, layout.tile_height)


def test_few_key_frames_have_the_film_decoded(tmp_path: Path) -> None:
    options = {"x264-params": "scenecut=0"}
    film = Film(seconds=22, size=SMALL, key_frame_sec=60, options=options).save(tmp_path / "film.mp4")
    layout, sheets = storyboard_of(film, tmp_path)
    for number in range(layout.tiles):
        assert abs(shade_of(layout, sheets, number) - luma_at(number * layout.interval_sec)) < 14


def test_turned_film_is_shown_upright(tmp_path: Path) -> None:
    layout, _ = storyboard_of(Film(seconds=3, size=SMALL, turned=90).save(tmp_path / "film.mp4"), tmp_path)
    assert layout.tile_height == 284


def test_film_of_one_picture(tmp_path: Path) -> None:
    layout, sheets = storyboard_of(Film(seconds=0.1, size=SMALL).save(tmp_path / "film.mp4"), tmp_path)
    assert (layout.tiles, len(sheets), sheets[0].width) == (1, 1, 160)
