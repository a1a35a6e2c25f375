"""Which output of the child process its parent accepts."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.thumbnailer import domain
from services.thumbnailer.domain import JobKind
from services.thumbnailer.media import inspection
from services.thumbnailer.media.answers import parse_answer
from services.thumbnailer.media.errors import MediaError

if TYPE_CHECKING:
    from services.thumbnailer.results import Report


FACTS = {
    "container": "mp4",
    "duration_sec": 1.5,
    "video_codec": "h264",
    "audio_codec": None,
    "width": 320,
    "height": 180,
    "audio": [],
    "subtitles": [],
    "chapters": [],
    "color_primaries": "bt709",
    "color_transfer": "",
    "hdr": "",
    "rotation": 90,
    "frame_rate": 25.0,
    "bit_depth": 8,
}
TRACK = {
    "index": 2, "codec": "subrip", "language": "kor", "title": "자막", "default": True, "forced": False, "sdh": False,
    "text": True,
}  # fmt: skip
BOARD = {"duration_sec": 9.0, "interval_sec": 9, "tiles": 1, "tile_width": 160, "tile_height": 90}
JPEG = b"\xff\xd8\xff\xd9"
WEBP = b"RIFF\0\0\0\0WEBP"
HASH = base64.b64encode(bytes(25)).decode()


def answer(head: dict[str, Any], *files: bytes) -> bytes:
    return json.dumps({"isolated": True, "failures": {}} | head).encode() + b"\n" + b"".join(files)


def made(kind: str, result: object, *files: bytes, sizes: object = None) -> bytes:
    return answer({kind: {"result": result, "sizes": sizes or [len(each) for each in files]}}, *files)


def parsed(given: bytes) -> Report:
    return parse_answer(given, 3000, inspection.DEFAULT_LIMITS.max_pixels)


def refused(given: bytes) -> None:
    with pytest.raises(MediaError) as caught:
        parsed(given)
    assert caught.value.failure.code == domain.DECODER_CRASHED


def test_valid_facts_are_accepted() -> None:
    facts = parsed(made("facts", FACTS)).facts
    assert facts
    assert facts.info.bitrate_bps == 16_000
    facts = parsed(made("facts", FACTS | {"audio_codec": "aac", "subtitles": [TRACK | {"title": "a\nb\u202e"}]})).facts
    assert facts
    assert facts.info.audio_codec == "AAC"
    assert (facts.details.subtitles[0].codec, facts.details.subtitles[0].title) == ("SubRip", "ab")


def test_valid_files_are_accepted() -> None:
    thumbnail = {"thumbnail": {"result": {"thumbhash": HASH}, "sizes": [4]}}
    posters = {"posters": {"result": {"widths": [320], "width": 320, "height": 180}, "sizes": [4, 12]}}
    report = parsed(answer(thumbnail | posters, JPEG, JPEG, WEBP))
    assert report.files == {
        JobKind.THUMBNAIL: {"thumbnail.jpg": JPEG},
        JobKind.POSTERS: {"poster-320.jpg": JPEG, "poster-320.webp": WEBP},
    }


def test_failures_of_some_jobs_leave_the_others() -> None:
    report = parsed(answer({"facts": {"result": FACTS, "sizes": []}, "failures": {"storyboard": "DAMAGED"}}))
    assert report.facts
    assert report.failures[JobKind.STORYBOARD].code == domain.DAMAGED


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
        ("rotation", 45),
        ("hdr", "<b>"),
        ("color_primaries", "<script>"),
        ("frame_rate", math.inf),
        ("bit_depth", 0),
        ("audio", {}),
        ("subtitles", [TRACK, TRACK]),
        ("subtitles", [TRACK | {"index": -1}]),
        ("subtitles", [TRACK] * 10_000),
        ("chapters", [{"start_sec": math.nan, "end_sec": 2, "title": ""}]),
    ],
)
def test_invalid_answer_of_the_child_is_refused(part: str, value: object) -> None:
    refused(made("facts", FACTS | {part: value}))


@pytest.mark.parametrize(
    "given",
    [
        made("thumbnail", {"thumbhash": HASH}),
        made("thumbnail", {"thumbhash": HASH}, b"<html>"),
        made("thumbnail", {"thumbhash": HASH}, JPEG, JPEG),
        made("thumbnail", {"thumbhash": HASH}, JPEG, sizes=[5]),
        made("thumbnail", {"thumbhash": HASH}, JPEG, sizes=[-1]),
        made("thumbnail", {"thumbhash": HASH}, JPEG, sizes=[3]),
        made("thumbnail", {"thumbhash": "not base 64!"}, JPEG),
        made("thumbnail", {"thumbhash": base64.b64encode(bytes(1000)).decode()}, JPEG),
        made("thumbnail", None, JPEG),
        made("posters", {"widths": [321], "width": 321, "height": 180}, JPEG, WEBP),
        made("posters", {"widths": [], "width": 320, "height": 180}),
        made("posters", {"widths": [320], "width": 320, "height": 180}, WEBP, JPEG),
        made(
            "storyboard", {"interval_sec": 0, "tiles": 1, "tile_width": 160, "tile_height": 90, "duration_sec": 1}, JPEG
        ),
        made(
            "storyboard",
            {"interval_sec": 9, "tiles": 101, "tile_width": 160, "tile_height": 90, "duration_sec": 1},
            JPEG,
        ),
        made(
            "storyboard", {"interval_sec": 9, "tiles": 10**9, "tile_width": 160, "tile_height": 90, "duration_sec": 1}
        ),
        made("subtitles", [TRACK], b"<html>"),
        made("subtitles", [TRACK], b"WEBVTT\n\xff"),
        made("subtitles", [TRACK, TRACK], b"WEBVTT\n", b"WEBVTT\n"),
        answer({"failures": {"storyboard": "REASON_OF_MY_OWN"}}),
        answer({"failures": {"my_own": "DAMAGED"}}),
        answer({}),
        answer({"failure": "REASON_OF_MY_OWN"}),
    ],
)
def test_invalid_files_are_refused(given: bytes) -> None:
    refused(given)


@pytest.mark.parametrize(
    "given",
    [b"", b"{}", b"[]", b"null", b"7", b'"x"', b"\xff", b"[" * 100_000, b"9" * 10_000, b'{"failure":[]}'],
)
def test_invalid_responses_are_refused(given: bytes) -> None:
    refused(given)


@given(st.binary(max_size=200))
def test_any_answer_is_understood_or_an_error(given: bytes) -> None:
    with pytest.raises(MediaError):
        parsed(given)
