from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench.stats import Latency, Spread, latency, paired_ratio, percentile, spread


def test_percentiles_are_values_that_were_measured() -> None:
    hundred = list(range(1, 101))
    assert percentile(hundred, 0.5) == 50
    assert percentile(hundred, 0.99) == 99
    assert percentile(hundred, 1.0) == 100
    assert percentile([7], 0.99) == 7
    assert percentile([1, 2], 0.5) == 1


@given(values=st.lists(st.integers(), min_size=1), share=st.floats(0.01, 1.0))
def test_at_least_the_share_is_not_above_its_percentile(values: list[int], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered)
    assert sum(value < found for value in ordered) < share * len(ordered)


def test_latency_is_in_milliseconds_whatever_the_order() -> None:
    assert latency([0.003, 0.001, 0.002]) == Latency(samples=3, p50_ms=2, p99_ms=3, max_ms=3)


def test_percentiles_without_waiting_times_are_none() -> None:
    assert latency([]) == Latency(samples=0, p50_ms=None, p99_ms=None, max_ms=None)
    assert spread([]) is None


def test_a_ratio_is_of_neighbours() -> None:
    # The machine was half as fast in the second round; a ratio of sums would not be 2 everywhere.
    assert paired_ratio([10, 5, 12], [5, 2.5, 6]) == Spread(median=2, low=2, high=2)


def test_rounds_without_a_reference_are_left_out() -> None:
    assert paired_ratio([10, 5, 9], [5, 0, 3]) == Spread(median=2.5, low=2, high=3)
    assert paired_ratio([1], [0]) is None


def test_neighbours_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio([1, 2], [1])
