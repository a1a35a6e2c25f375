from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.thumbnailer import domain
from services.thumbnailer.domain import MediaFailure

CODES = {value for name, value in vars(domain).items() if isinstance(value, str) and name == value}


@pytest.mark.parametrize(
    ("duration_sec", "expected"), [(7200, 5), (50, 5), (49, 4.9), (20, 2), (0.2, 0.02), (0.04, 0.004), (0, 0)]
)
def test_thumbnail_is_taken_at_a_tenth_but_no_later_than_five_seconds(duration_sec: float, expected: float) -> None:
    assert domain.thumbnail_times(duration_sec)[0] == pytest.approx(expected)


@pytest.mark.parametrize("duration_sec", [-1, math.nan, math.inf, -math.inf])
def test_thumbnail_of_a_senseless_duration_is_the_first_picture(duration_sec: float) -> None:
    assert domain.thumbnail_times(duration_sec)[0] == 0


@given(st.floats(min_value=0, max_value=1e7))
def test_thumbnail_time_is_inside_the_film(duration_sec: float) -> None:
    assert 0 <= domain.thumbnail_times(duration_sec)[0] <= min(5, duration_sec)


@pytest.mark.parametrize(
    ("canonical", "shown"),
    [
        ("h264", "H.264"),
        ("hevc", "HEVC"),
        ("vp9", "VP9"),
        ("av1", "AV1"),
        ("aac", "AAC"),
        ("opus", "Opus"),
        ("pcm_s16le", "PCM"),
        ("cook", "COOK"),
    ],
)
def test_codecs_have_the_names_that_users_know(canonical: str, shown: str) -> None:
    assert domain.codec_name(canonical) == shown


def test_containers_have_names_and_mime_types() -> None:
    assert domain.container_name("mp4") == ("MP4", "video/mp4")
    assert domain.container_name("webm") == ("WebM", "video/webm")
    with pytest.raises(KeyError):
        domain.container_name("avi")


def test_bitrate_is_that_of_the_whole_file() -> None:
    assert domain.bitrate_bps(1_000_000, 8) == 1_000_000
    assert domain.bitrate_bps(1_000_000, 0) == 0


def test_every_failure_has_a_sentence_that_says_what_to_do() -> None:
    assert len(CODES) > 15
    for code in CODES:
        failure = MediaFailure.of(code)
        assert failure.code == code
        assert domain.is_failure_code(code)
        assert failure.reason[0].isupper()
        assert failure.reason.endswith(".")
    assert len({MediaFailure.of(code).reason for code in CODES}) == len(CODES)


def test_unknown_codes_are_no_failures() -> None:
    assert not domain.is_failure_code("REASON_OF_MY_OWN")
    with pytest.raises(KeyError):
        MediaFailure.of("REASON_OF_MY_OWN")


def test_only_what_another_time_may_change_is_worth_a_retry() -> None:
    assert {code for code in CODES if not MediaFailure.of(code).permanent} == {
        domain.FILE_MISSING,
        domain.FILE_UNREADABLE,
        domain.THUMBNAIL_UNWRITABLE,
        domain.TIME_LIMIT,
        domain.ORIGIN_REFUSES,
        domain.TOO_LARGE_TO_STAGE,
        domain.INTERRUPTED,
        domain.SERVER_BUSY,
        domain.KEYS_UNAVAILABLE,
        domain.PACK_UNWRITABLE,
    }
