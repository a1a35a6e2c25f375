"""Which output of the child process its parent accepts."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.thumbnailer import domain
from services.thumbnailer.media import inspection
from services.thumbnailer.media.errors import MediaError

if TYPE_CHECKING:
    from services.thumbnailer.domain import MediaInfo


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
