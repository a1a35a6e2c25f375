"""Fragments become chunks of about two seconds at key frames."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.thumbnailer.media.packing.chunks import Chunk, join
from services.thumbnailer.media.packing.errors import PackingError
from services.thumbnailer.media.packing.fragments import Fragment

SCALE = 1000
MAX_BYTES = 1000


def fragments(*parts: tuple[int, str], size: int = 1, tail: int = 1000) -> list[Fragment]:
    """Return fragments by start and kind: k begins with a key frame. The last one lasts `tail` ms."""
    starts = [start for start, _ in parts]
    ends = [*starts[1:], starts[-1] + tail]
    return [
        Fragment(bytes([index % 256]) * size, start, Fraction(end, SCALE), kind == "k")
        for index, ((start, kind), end) in enumerate(zip(parts, ends, strict=True))
    ]


def shape(parts: list[Fragment]) -> list[tuple[int, str]]:
    return [(chunk.duration, "k" if chunk.begins_with_key_frame else "-") for chunk in join(parts, SCALE, MAX_BYTES)]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(0, "k"), (2000, "k"), (4000, "k")], [(2000, "k"), (2000, "k"), (1000, "k")]),
        ([(0, "k"), (1000, "-"), (2000, "k"), (3000, "-")], [(2000, "k"), (2000, "k")]),
        ([(number * 500, "k") for number in range(8)], [(2000, "k"), (2500, "k")]),
        ([(number * 960, "k") for number in range(5)], [(1920, "k"), (1920, "k"), (1000, "k")]),
        ([(number * 1000, "-" if number else "k") for number in range(7)], [(3000, "k"), (3000, "-"), (1000, "-")]),
        ([(0, "k"), (1000, "-"), (2000, "-"), (3000, "-"), (3900, "k")], [(3000, "k"), (900, "-"), (1000, "k")]),
        ([(80, "k"), (2080, "k")], [(2080, "k"), (1000, "k")]),
        ([(-40, "k"), (1960, "k")], [(1960, "k"), (1000, "k")]),
        ([(0, "k")], [(1000, "k")]),
    ],
    ids=[
        "groups of two seconds",
        "groups in halves",
        "short groups",
        "groups of a second",
        "one long group",
        "key frame soon after a cut",
        "late first picture",
        "early first picture",
        "one fragment",
    ],
)
def test_chunks_last_about_two_seconds(parts: list[tuple[int, str]], expected: list[tuple[int, str]]) -> None:
    assert shape(fragments(*parts)) == expected


def test_chunk_ends_before_it_is_too_large() -> None:
    assert shape(fragments((0, "k"), (500, "-"), (1000, "-"), size=600)) == [(500, "k"), (500, "-"), (1000, "-")]
    assert shape(fragments((0, "k"), (500, "-"), (1000, "-"), size=500)) == [(1000, "k"), (1000, "-")]


def test_film_lasts_as_long_as_its_sound() -> None:
    parts = fragments((0, "k"), (2000, "k"), (2900, "-"), tail=5000)
    assert shape(parts) == [(2000, "k"), (5900, "k")]
    assert shape(fragments((0, "k"), (2000, "k"), tail=-3000)) == [(2000, "k"), (1, "k")]


def test_refuses_film_without_key_frame_or_fragments() -> None:
    with pytest.raises(PackingError, match="key frame"):
        shape(fragments((0, "-"), (1000, "k")))
    with pytest.raises(PackingError, match="without fragments"):
        shape([])


def test_fragments_out_of_order_are_kept_together_or_refused() -> None:
    assert shape(fragments((0, "k"), (2000, "k"), (1500, "k"), tail=2000)) == [(2000, "k"), (1500, "k")]
    with pytest.raises(PackingError, match="order"):
        shape(fragments((0, "k"), (2000, "k"), (1500, "k"), size=600))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4000), st.booleans(), st.integers(1, MAX_BYTES)), max_size=40))
def test_nothing_is_lost_and_key_frames_are_found(rows: list[tuple[int, bool, int]]) -> None:
    parts = [Fragment(b"first", 0, Fraction(0), True)]
    for number, (gap, is_key, size) in enumerate(rows):
        start = parts[-1].start + gap
        parts.append(Fragment(bytes([number % 256]) * size, start, Fraction(start, SCALE), is_key))
    chunks: list[Chunk] = list(join(parts, SCALE, MAX_BYTES))
    assert b"".join(chunk.data for chunk in chunks) == b"".join(part.data for part in parts)
    assert all(len(chunk.data) <= MAX_BYTES and chunk.duration > 0 for chunk in chunks)
    begins = {part.start: part.begins_with_key_frame for part in parts}
    start = 0
    for chunk in chunks:
        assert begins[start] is chunk.begins_with_key_frame
        start += chunk.duration
