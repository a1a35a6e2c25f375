"""The Range parser against a slow, obvious reading of RFC 9110, section 14, and against known attacks."""

from __future__ import annotations

import re
import time
from itertools import groupby, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.testing.depth import cases
from services.stream.delivery.ranges import MAX_RANGES, ByteRange, RangeNotSatisfiableError, select

IGNORED = "ignored"
REFUSED = "refused"
Result = str | list[tuple[int, int]]


END_OF_NOTHING = {-1}


def named_by(spec: str, size: int) -> set[int] | None:
    """The bytes that one spec names; None when it is malformed."""
    if suffix := re.fullmatch(r"-([0-9]+)", spec):
        count = int(suffix[1])
        return END_OF_NOTHING if size == 0 and count else {n for n in range(size) if n >= size - count}
    if pair := re.fullmatch(r"([0-9]+)-([0-9]*)", spec):
        first, last = int(pair[1]), int(pair[2]) if pair[2] else None
        if last is None or first <= last:
            return {n for n in range(size) if first <= n and (last is None or n <= last)}
    return None


def reference(header: str, size: int) -> Result:
    """Byte by byte: each spec is the set of the bytes that it names."""
    matched = re.fullmatch(r"[ \t]*bytes=(.*)", header, re.IGNORECASE | re.DOTALL)
    specs = [spec for text in matched[1].split(",") if (spec := text.strip(" \t"))] if matched else []
    wanted = [named for spec in specs if (named := named_by(spec, size)) is not None]
    if not specs or len(wanted) < len(specs):
        return IGNORED
    if len(wanted) > MAX_RANGES:
        return REFUSED
    if END_OF_NOTHING in wanted:
        return IGNORED
    numbers = sorted(set().union(*wanted))
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    runs.sort(key=lambda run: next(place for place, named in enumerate(wanted) if named & set(run)))
    return [(run[0], run[-1]) for run in runs] or REFUSED


def parsed(header: str, size: int) -> Result:
    try:
        ranges = select(header, size)
    except RangeNotSatisfiableError:
        return REFUSED
    return IGNORED if ranges is None else [(span.first, span.last) for span in ranges]


number = st.one_of(
    st.integers(0, 45).map(str), st.integers(0, 45).map(lambda n: f"000{n}"), st.integers(0, 10**40).map(str)
)
spec = st.one_of(
    st.tuples(number, number).map("-".join),
    number.map(lambda first: f"{first}-"),
    number.map(lambda count: f"-{count}"),
    st.sampled_from(["", "-", "1", "+1-2", "1_0-20", "1-+2", "a-b", "1-2-3", "٣-٤", "0x1-2", "1 -2", "--1"]),
)
blank = st.sampled_from(["", "", "", " ", "\t"])
listed = st.lists(st.tuples(blank, spec, blank).map("".join), max_size=8).map(",".join)
unit = st.sampled_from(["bytes=", "bytes=", "bytes=", "Bytes=", "seconds=", "bytes =", "bytes", "", "=", " bytes="])
header = st.one_of(
    st.tuples(unit, listed).map("".join),
    st.tuples(st.just("bytes="), st.text("0123456789-, \t_+=", max_size=20)).map("".join),
    st.text(max_size=20),
)


@settings(max_examples=cases(quick=300, deep=20_000), deadline=None)
@given(header=header, size=st.integers(0, 40))
@example(header="bytes=0-1", size=40)
@example(header="bytes=-5", size=0)
@example(header="bytes=0-9,-10,100000-", size=40)
def test_matches_a_literal_reading_of_the_rfc(header: str, size: int) -> None:
    assert parsed(header, size) == reference(header, size)


@settings(max_examples=cases(quick=150, deep=5_000), deadline=None)
@given(header=header, size=st.integers(1, 2**63))
def test_selected_ranges_are_inside_the_file_and_disjoint(header: str, size: int) -> None:
    result = parsed(header, size)
    if isinstance(result, str):
        return
    ordered = sorted(result)
    assert all(0 <= first <= last < size for first, last in ordered)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ordered))


EVERY_OTHER = range(0, 2 * MAX_RANGES, 2)
"""As many ranges as are taken, none of which touches another."""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-1", [(0, 1)]),
        ("bytes=0-", [(0, 999)]),
        ("bytes=-1", [(999, 999)]),
        ("bytes=-5000", [(0, 999)]),
        ("bytes=990-5000", [(990, 999)]),
        ("bytes=999-999", [(999, 999)]),
        ("bytes=0-9,5-20,21-30", [(0, 30)]),
        ("bytes=500-600,0-1", [(500, 600), (0, 1)]),
        ("bytes=0-0,2000-,-1", [(0, 0), (999, 999)]),
        ("bytes=1000-", REFUSED),
        ("bytes=-0", REFUSED),
        ("bytes=" + ",".join(f"{n}-{n}" for n in EVERY_OTHER), [(n, n) for n in EVERY_OTHER]),
        ("bytes=" + ",".join(f"{n}-{n}" for n in (*EVERY_OTHER, 2 * MAX_RANGES)), REFUSED),
        ("bytes=5-4", IGNORED),
        ("bytes=", IGNORED),
        ("seconds=0-1", IGNORED),
        ("bytes=0-1;", IGNORED),
    ],
)
def test_well_known_cases(header: str, expected: Result) -> None:
    assert parsed(header, 1000) == expected


def test_positions_beyond_any_file_are_exact() -> None:
    assert parsed("bytes=99999999999999999999-99999999999999999998", 10) == IGNORED
    assert parsed("bytes=99999999999999999998-99999999999999999999", 10) == REFUSED
    assert parsed(f"bytes={2**32}-{2**32 + 9}", 2**33) == [(2**32, 2**32 + 9)]


@pytest.mark.parametrize("piece", ["0-,", "9", ",", "0-0,", "-", " ", "1-2 ,\t", "00000000-"])
def test_a_huge_header_costs_linear_time(piece: str) -> None:
    hostile = "bytes=" + piece * (300_000 // len(piece))
    started = time.process_time()
    parsed(hostile, 1000)
    # Quadratic work on so much would take minutes.
    assert time.process_time() - started < 3


def test_a_range_knows_its_length() -> None:
    assert ByteRange(0, 1).count == 2
