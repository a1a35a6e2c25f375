"""Films of any shape, trimmed anywhere, compared with a reader that reads sample by sample."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from mp4 import StartBeyondEndError
from mp4.tests.judge import (
    assert_cut,
    assert_same_index,
    build_of,
    end_of,
    key_frame_at,
)
from mp4.tests.reference import read_movie
from mp4.tests.synthetic import Script, scripts, write


@settings(deadline=None)
@given(script=scripts(), fraction=st.floats(0, 1.2))
def test_any_film_is_trimmed_correctly(script: Script, fraction: float) -> None:
    data = write(script)
    movie = read_movie(data)
    end = end_of(movie)
    start_sec = round(float(end) * fraction, 3)
    start_ms = round(start_sec * 1000)
    # Durations are whole numbers of the movie's units, rounded up.
    if 0 < start_ms >= math.ceil((end + Fraction(1, movie.scale)) * 1000):
        with pytest.raises(StartBeyondEndError):
            build_of(data, start_sec)
    if start_ms >= math.ceil(end * 1000):
        return
    start = key_frame_at(movie, start_sec) if start_sec else Fraction(0)
    note(f"from {start} of {end}")
    virtual = build_of(data, start_sec)
    assert virtual.start_sec == pytest.approx(float(start))
    assert virtual.first_ms <= start_ms < virtual.until_ms
    if start_sec:
        # It answers these times, and no others.
        assert key_frame_at(movie, virtual.first_ms / 1000) == start
        assert key_frame_at(movie, (virtual.until_ms - 1) / 1000) == start
        after = key_frame_at(movie, virtual.until_ms / 1000)
        assert after > start or virtual.until_ms >= math.ceil(end * 1000)
    if start == 0:
        assert_same_index(data, virtual)
    else:
        assert_cut(data, virtual, start)
