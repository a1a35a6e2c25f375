"""Thumbnails judged by what they show."""

from __future__ import annotations

import asyncio
import math
import random
import struct
from array import array
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import pytest
from PIL import Image, ImageStat

from services.thumbnailer import domain
from services.thumbnailer.media import tone_map
from services.thumbnailer.tests.unit.films import Film, white_corner
from services.thumbnailer.tests.unit.media.support import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services.thumbnailer.domain import MediaInfo
    from services.thumbnailer.tests.unit.films import Painter

Colour = tuple[float, float, float]
SMALL = (64, 36)


def picture_of(source: Path, artwork: Path) -> tuple[MediaInfo, Image.Image]:
    info = asyncio.run(process(source, artwork / "thumbnail.jpg"))
    with Image.open(artwork / "thumbnail.jpg") as picture:
        return info, picture.convert("RGB")


def contrast(picture: Image.Image) -> float:
    return float(ImageStat.Stat(picture.convert("L")).stddev[0])


def colour(picture: Image.Image, place: tuple[int, int]) -> tuple[int, ...]:
    pixel = picture.getpixel(place)
    assert isinstance(pixel, tuple)
    return pixel


def brightest(picture: Image.Image) -> int:
    return max(level for level, count in enumerate(picture.convert("L").histogram()) if count)


# --- Beginnings that show nothing --------------------------------------------------------------------------


def beginning(seconds: float, shade: Painter) -> Painter:
    """Paint a beginning, and then a picture."""

    def paint(second: float, width: int, height: int) -> list[bytes]:
        return (shade if second < seconds else white_corner)(second, width, height)

    return paint


def plain(level: int) -> Painter:
    return lambda _second, width, height: [bytes([level]) * width] * height


def grainy(_second: float, width: int, height: int) -> list[bytes]:
    grain = random.Random(height)
    return [bytes(grain.choices(range(16, 28), k=width)) for _ in range(height)]


def small_logo(_second: float, width: int, height: int) -> list[bytes]:
    rows = [bytes([16]) * width for _ in range(height)]
    rows[2] = rows[3] = rows[4] = bytes([16]) * 3 + bytes([235]) * 8 + bytes([16]) * (width - 11)
    return rows


def fading_in(second: float, width: int, height: int) -> list[bytes]:
    return [bytes([16 + round(second / 4)]) * (width // 2) + bytes([16]) * (width - width // 2)] * height


@pytest.mark.parametrize(
    "shade", [plain(16), plain(235), plain(81), grainy, small_logo, fading_in], ids=lambda shade: shade.__name__
)
@pytest.mark.parametrize("lasting_sec", [7, 12, 38])
def test_looks_further_in_where_a_film_begins_with_nothing(
    shade: Painter, lasting_sec: float, tmp_path: Path, artwork: Path
) -> None:
    film = Film(seconds=40, size=SMALL, paint=beginning(lasting_sec, shade)).save(tmp_path / "film.mp4")
    _, picture = picture_of(film, artwork)
    assert contrast(picture) > 60
    assert min(colour(picture, (80, 45))) > 220
    assert max(colour(picture, (240, 135))) < 30


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_looks_behind_the_only_key_frame(name: str, tmp_path: Path, artwork: Path) -> None:
    options = {"x264-params": "scenecut=0"}
    film = Film(seconds=8, key_frame_sec=60, paint=beginning(2, plain(16)), options=options).save(tmp_path / name)
    assert contrast(picture_of(film, artwork)[1]) > 60


@pytest.mark.parametrize("container", [{}, {"live": "1"}], ids=["indexed", "recorded live"])
def test_looks_further_in_other_containers(container: dict[str, str], tmp_path: Path, artwork: Path) -> None:
    """A live recording has no index: it is read on from where the first picture was."""
    film = Film(seconds=40, size=SMALL, paint=beginning(12, plain(16)), container=container).save(tmp_path / "film.mkv")
    assert contrast(picture_of(film, artwork)[1]) > 60


def then_stripes(first: Painter) -> Painter:
    """Paint 6 s, and then stripes, of which half are not of the dominant shade."""

    def paint(second: float, width: int, height: int) -> list[bytes]:
        return first(second, width, height) if second < 6 else [bytes([16, 235] * (width // 2))] * height

    return paint


def test_takes_the_best_of_a_few_pictures(tmp_path: Path, artwork: Path) -> None:
    film = Film(seconds=60, size=SMALL, paint=then_stripes(white_corner)).save(tmp_path / "film.mp4")
    _, picture = picture_of(film, artwork)
    assert min(colour(picture, (80, 45))) < 200


def test_does_not_look_further_where_the_first_picture_shows_plenty(tmp_path: Path, artwork: Path) -> None:
    def slope(_second: float, width: int, height: int) -> list[bytes]:
        return [bytes(16 + 219 * x // (width - 1) for x in range(width))] * height

    film = Film(seconds=60, size=SMALL, paint=then_stripes(slope)).save(tmp_path / "film.mp4")
    _, picture = picture_of(film, artwork)
    assert min(colour(picture, (310, 45))) > 220


def test_a_film_that_shows_nothing_has_its_first_picture(tmp_path: Path, artwork: Path) -> None:
    def paint(second: float, width: int, height: int) -> list[bytes]:
        return plain(60 if second < 5 else 160)(second, width, height)

    _, picture = picture_of(Film(seconds=40, size=SMALL, paint=paint).save(tmp_path / "film.mp4"), artwork)
    assert colour(picture, (160, 90)) == pytest.approx(((60 - 16) * 255 / 219,) * 3, abs=3)


def test_takes_the_best_there_is_where_little_is_shown(tmp_path: Path, artwork: Path) -> None:
    paint = beginning(10, plain(16))

    def logo_later(second: float, width: int, height: int) -> list[bytes]:
        return paint(second, width, height) if second < 10 else small_logo(second, width, height)

    _, picture = picture_of(Film(seconds=30, size=SMALL, paint=logo_later).save(tmp_path / "film.mp4"), artwork)
    assert brightest(picture) > 200


def test_holes_of_a_staged_film_are_no_picture(tmp_path: Path, artwork: Path) -> None:
    """The middle of a staged film is a hole."""
    film = Film(seconds=40, codec="mpeg4", paint=beginning(12, plain(16))).save(tmp_path / "film.mp4")
    data = bytearray(film.read_bytes())
    start = data.index(b"mdat") + 4
    end = start + struct.unpack_from(">I", data, start - 8)[0] - 8
    data[start + (end - start) // 4 : end] = bytes(end - start - (end - start) // 4)
    film.write_bytes(data)
    _, picture = picture_of(film, artwork)
    # Concealment would be grey.
    assert contrast(picture) > 60 or brightest(picture) < 30


# --- Edit lists --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edits",
    [
        [(0, 0)],
        [(0, 1024)],
        [(0, -1), (0, 0)],
        [(500, -1), (0, 0)],
        [(0, 0), (4000, 0)],
        [(2000, 0), (0, 0), (2000, 0)],
    ],
)
@pytest.mark.parametrize("sound", [None, "aac"])
def test_a_film_with_an_edit_without_duration_has_a_picture(
    edits: list[tuple[int, int]], sound: str | None, tmp_path: Path, artwork: Path
) -> None:
    film = Film(seconds=4, paint=white_corner, sound=sound).save(tmp_path / "film.mp4")
    film.write_bytes(with_edits(film.read_bytes(), edits))
    info, picture = picture_of(film, artwork)
    assert 3.9 < info.duration_sec < 4.8
    assert min(colour(picture, (80, 45))) > 220
    assert max(colour(picture, (240, 135))) < 30


def with_edits(data: bytes, edits: list[tuple[int, int]]) -> bytes:
    """Give the first track of a film whose index comes last another edit list."""
    rows = b"".join(struct.pack(">IiI", duration, media_time, 1 << 16) for duration, media_time in edits)
    elst = struct.pack(">I4sII", 16 + len(rows), b"elst", 0, len(edits)) + rows
    at = data.index(b"edts") - 4
    old = struct.unpack_from(">I", data, at)[0]
    out = bytearray(data[:at] + struct.pack(">I4s", 8 + len(elst), b"edts") + elst + data[at + old :])
    for kind in (b"moov", b"trak"):
        place = out.index(kind) - 4
        struct.pack_into(">I", out, place, struct.unpack_from(">I", out, place)[0] + 8 + len(elst) - old)
    return bytes(out)


# --- Colours -----------------------------------------------------------------------------------------------

PATCHES: tuple[Colour, ...] = ((200, 60, 40), (50, 160, 70), (40, 70, 180), (128, 128, 128))
"""Of the four quarters, as BT.709 has them."""
_TO_BT2020 = ((0.627404, 0.329283, 0.043313), (0.069097, 0.919540, 0.011362), (0.016391, 0.088013, 0.895595))
_LUMA = (0.2627, 0.6780, 0.0593)


def pq(nits: float) -> float:
    """Return the signal for light of a screen (SMPTE ST 2084)."""
    power = (max(nits, 0) / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg(scene: float) -> float:
    """Return the signal for light of a scene (ARIB STD-B67)."""
    return (
        math.sqrt(3 * max(scene, 0)) if scene <= 1 / 12 else 0.17883277 * math.log(12 * scene - 0.28466892) + 0.55991073
    )


def bt2020_light(patch: Colour) -> Colour:
    """Return what a screen shows of a patch, in cd/m², with white at 203."""
    light = [203 * (value / 255) ** 2.4 for value in patch]
    red, green, blue = (sum(a * b for a, b in zip(row, light, strict=True)) for row in _TO_BT2020)
    return red, green, blue


def pq_signal(patch: Colour) -> Colour:
    red, green, blue = map(pq, bt2020_light(patch))
    return red, green, blue


def hlg_signal(patch: Colour) -> Colour:
    light = [value / 1000 for value in bt2020_light(patch)]
    luminance = sum(a * b for a, b in zip(_LUMA, light, strict=True))
    red, green, blue = (hlg(value * luminance ** (1 / 1.2 - 1)) if luminance else 0.0 for value in light)
    return red, green, blue


def sdr_signal(patch: Colour) -> Colour:
    """Return the signal of BT.2020 without high dynamic range."""
    red, green, blue = ((max(value, 0) / 203) ** (1 / 2.4) for value in bt2020_light(patch))
    return red, green, blue


@dataclass(frozen=True)
class DeepFilm:
    """A film of four patches in 10 bits."""

    signal: Callable[[Colour], Colour]
    transfer: str
    patches: tuple[Colour, ...] = PATCHES
    size: tuple[int, int] = (320, 180)
    turned: int = 0

    def save(self, path: Path) -> Path:
        params = f"log-level=none:crf=4:colorprim=bt2020:transfer={self.transfer}:colormatrix=bt2020nc"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx265", rate=10, options={"x265-params": params, "preset": "ultrafast"})
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = self.size
            stream.pix_fmt = "yuv420p10le"
            if self.turned:
                stream.set_display_rotation(self.turned)
            for number in range(3):
                frame = self._frame()
                frame.pts, frame.time_base = number, Fraction(1, 10)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path

    def _frame(self) -> av.VideoFrame:
        frame = av.VideoFrame(*self.size, "yuv420p10le")
        codes = [self._code(patch) for patch in self.patches]
        for index, plane in enumerate(frame.planes):
            half, rest = plane.width // 2, plane.line_size // 2 - plane.width // 2
            top, bottom = (
                array("H", [codes[place][index]] * half + [codes[place + 1][index]] * rest).tobytes()
                for place in (0, 2)
            )
            plane.update(top * (plane.height // 2) + bottom * (plane.height - plane.height // 2))
        return frame

    def _code(self, patch: Colour) -> tuple[int, int, int]:
        """Return Y, Cb and Cr in limited range (ITU-R BT.2100, tables 6 and 9)."""
        red, green, blue = self.signal(patch)
        luma = sum(a * b for a, b in zip(_LUMA, (red, green, blue), strict=True))
        cb, cr = (blue - luma) / 1.8814, (red - luma) / 1.4746
        return round(64 + 876 * luma), round(512 + 896 * cb), round(512 + 896 * cr)


WIDE = pytest.mark.parametrize(
    ("signal", "transfer"),
    [(pq_signal, "smpte2084"), (hlg_signal, "arib-std-b67"), (sdr_signal, "bt2020-10")],
    ids=["pq", "hlg", "wide gamut"],
)
QUARTERS = ((80, 45), (240, 45), (80, 135), (240, 135))


@WIDE
def test_colours_of_a_wide_film_are_those_of_bt709(
    signal: Callable[[Colour], Colour], transfer: str, tmp_path: Path, artwork: Path
) -> None:
    film = DeepFilm(signal, transfer).save(tmp_path / "film.mp4")
    _, picture = picture_of(film, artwork)
    for place, patch in zip(QUARTERS, PATCHES, strict=True):
        assert colour(picture, place) == pytest.approx(patch, abs=10)


def test_a_turned_film_of_high_dynamic_range_is_turned_and_mapped(tmp_path: Path, artwork: Path) -> None:
    info, picture = picture_of(DeepFilm(pq_signal, "smpte2084", turned=180).save(tmp_path / "film.mp4"), artwork)
    assert (info.width, info.height) == (320, 180)
    for place, patch in zip(QUARTERS, reversed(PATCHES), strict=True):
        assert colour(picture, place) == pytest.approx(patch, abs=10)


def test_bright_lights_leave_the_rest_as_it_is(tmp_path: Path, artwork: Path) -> None:
    """1000 cd/m² beside white of 203 and a grey: lights stay brighter, and neither of the others turns dark."""
    bright = 255 * (1000 / 203) ** (1 / 2.4)
    patches = ((bright,) * 3, (255.0,) * 3, (128.0,) * 3, (200.0, 60.0, 40.0))
    film = DeepFilm(pq_signal, "smpte2084", patches).save(tmp_path / "film.mp4")
    _, picture = picture_of(film, artwork)
    lights, white, grey, red = (colour(picture, place) for place in QUARTERS)
    assert min(lights) > 250
    assert 230 < min(white) <= max(white) < 250
    assert grey == pytest.approx((128,) * 3, abs=8)
    assert red == pytest.approx((200, 60, 40), abs=10)


def test_plain_high_definition_keeps_its_colours(tmp_path: Path, artwork: Path) -> None:
    def grey(_second: float, width: int, height: int) -> list[bytes]:
        return [bytes([126]) * (width // 2) + bytes([40]) * (width - width // 2)] * height

    params = {"x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709"}
    film = Film(seconds=0.3, size=(1280, 720), paint=grey, options=params).save(tmp_path / "film.mp4")
    _, picture = picture_of(film, artwork)
    assert colour(picture, (80, 90)) == pytest.approx((128,) * 3, abs=3)
    assert colour(picture, (240, 90)) == pytest.approx((28,) * 3, abs=3)


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_an_interlaced_film_shows_both_fields(order: str, tmp_path: Path, artwork: Path) -> None:
    options = {"x264-params": f"{order}=1", "flags": "+ildct+ilme"}
    film = Film(seconds=2, size=(640, 360), paint=white_corner, options=options).save(tmp_path / "film.mp4")
    info, picture = picture_of(film, artwork)
    assert (info.width, info.height, picture.size) == (640, 360, (320, 180))
    assert min(colour(picture, (80, 45))) > 220
    assert max(max(colour(picture, place)) for place in QUARTERS[1:]) < 30


def mapped(codes: list[float], transfer: int, primaries: int = tone_map.UNSPECIFIED) -> tuple[int, ...]:
    values = array("H", (round(min(1, max(0, code)) * 65_535) for code in codes))
    return tuple(tone_map.to_bt709(memoryview(values), transfer, primaries))


@pytest.mark.parametrize("level", [0, 10, 60, 128, 200, 255])
def test_shades_of_grey_are_exact(level: int) -> None:
    patch: Colour = (level, level, level)
    # 12 of 16 bits are looked at: in the dark, where signals are steep, that is a little less than a shade.
    assert mapped([*pq_signal(patch)], tone_map.PQ) == pytest.approx(patch, abs=1)
    assert mapped([*hlg_signal(patch)], tone_map.HLG) == pytest.approx(patch, abs=2)


def test_white_is_where_bt_2408_has_it() -> None:
    assert mapped([0.58] * 3, tone_map.PQ) == pytest.approx((255,) * 3, abs=1)
    assert mapped([0.75] * 3, tone_map.HLG) == pytest.approx((255,) * 3, abs=1)


def test_colours_that_bt709_lacks_are_its_strongest() -> None:
    # Pure green of BT.2020.
    assert mapped([0, 0.5, 0], tone_map.PQ)[0::2] == (0, 0)


@pytest.mark.parametrize("peak", [1.0, 1.5, 4.9, 49.3])
def test_brighter_light_is_never_darker(peak: float) -> None:
    lights = [peak * step / 1000 for step in range(1001)]
    bent = [tone_map.compress(light, peak) for light in lights]
    assert bent == sorted(bent)
    assert bent[-1] == pytest.approx(1)
    assert all(tone_map.compress(light, peak) == light for light in lights if light <= 0.75)
    assert peak > 1 or bent == pytest.approx(lights)


@pytest.mark.parametrize(
    ("duration_sec", "expected"),
    [(0, [0]), (-1, [0]), (100, [5, 10, 20, 35, 50, 65, 80, 95]), (10, [1, 2, 3.5, 4, 5, 6.5, 8, 9.5])],
)
def test_where_a_picture_is_looked_for(duration_sec: float, expected: list[float]) -> None:
    assert domain.thumbnail_times(duration_sec) == pytest.approx(expected)
