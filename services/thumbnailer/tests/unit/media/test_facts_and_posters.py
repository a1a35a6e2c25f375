"""Facts beyond codec and size, posters, and the placeholder."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from services.thumbnailer.domain import JobKind
from services.thumbnailer.media.thumbhash import thumbhash
from services.thumbnailer.results import Posters, Thumbnail
from services.thumbnailer.tests.unit.films import Film, white_corner
from services.thumbnailer.tests.unit.media.support import made_of


@pytest.mark.parametrize(
    ("size", "widths"), [((160, 90), (320,)), ((640, 360), (320, 640)), ((1280, 720), (320, 640, 1280)),
                         ((1920, 1080), (320, 640, 1280))]
)  # fmt: skip
def test_posters_are_no_wider_than_the_film(size: tuple[int, int], widths: tuple[int, ...], tmp_path: Path) -> None:
    film = Film(seconds=0.5, size=size, paint=white_corner).save(tmp_path / "film.mp4")
    report = made_of(film, [JobKind.POSTERS])
    posters = report.results[JobKind.POSTERS]
    assert isinstance(posters, Posters)
    assert posters.widths == widths
    for name, content in report.files[JobKind.POSTERS].items():
        with Image.open(io.BytesIO(content)) as picture:
            width = int(name.partition("-")[2].partition(".")[0])
            assert picture.format == ("WEBP" if name.endswith("webp") else "JPEG")
            assert picture.size == (width, round(width * 9 / 16))
            bright, dark = (picture.convert("L").getpixel((width * at // 4, 10)) for at in (1, 3))
            assert isinstance(bright, int)
            assert isinstance(dark, int)
            assert bright > 235
            assert dark < 20


def test_placeholder_is_that_of_the_picture(tmp_path: Path) -> None:
    report = made_of(Film(seconds=0.5, paint=white_corner).save(tmp_path / "film.mp4"), [JobKind.THUMBNAIL])
    thumbnail = report.results[JobKind.THUMBNAIL]
    assert isinstance(thumbnail, Thumbnail)
    assert len(base64.b64decode(thumbnail.thumbhash)) in range(15, 30)


@pytest.mark.parametrize("size", [(32, 18), (18, 32), (20, 20)])
@pytest.mark.parametrize("pixel", [(255, 0, 0), (255, 255, 255), (0, 0, 0), (10, 200, 90)])
def test_thumbhash_of_one_colour(size: tuple[int, int], pixel: tuple[int, int, int]) -> None:
    """The header holds the mean colour (6 bits each), the scales and the shape; nothing varies."""
    made = thumbhash(*size, bytes(pixel) * (size[0] * size[1]))
    header, tail = int.from_bytes(made[:3], "little"), int.from_bytes(made[3:5], "little")
    luminance, yellow_blue, red_green = header & 63, header >> 6 & 63, header >> 12 & 63
    r, g, b = (channel / 255 for channel in pixel)
    assert luminance == pytest.approx(63 * (r + g + b) / 3, abs=1)
    assert yellow_blue == pytest.approx(31.5 + 31.5 * ((r + g) / 2 - b), abs=1)
    assert red_green == pytest.approx(31.5 + 31.5 * (r - g), abs=1)
    assert header >> 18 == 0
    assert tail >> 15 == (size[0] > size[1])


def test_facts_tell_rotation_and_colours(tmp_path: Path) -> None:
    report = made_of(Film(seconds=0.5, turned=270, sound="aac").save(tmp_path / "film.mp4"), [JobKind.FACTS])
    assert report.facts
    details = report.facts.details
    assert (details.rotation, details.bit_depth, details.hdr) == (90, 8, "")
    assert details.frame_rate == pytest.approx(10)
    assert [(track.codec, track.channels) for track in details.audio] == [("AAC", 1)]
