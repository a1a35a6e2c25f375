"""Medians, percentiles and ratios of repeated measurements."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pydantic import BaseModel


class Spread(BaseModel):
    """What several rounds gave: the middle one, and the outermost."""

    median: float
    low: float
    high: float


class Latency(BaseModel):
    """Waiting times of one window, in milliseconds; None when nothing was waited for."""

    samples: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that is not below `share` of them.

    Args:
        ordered: at least one value, sorted upwards.
        share: 0 < share <= 1.
    """
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latency(seconds: Sequence[float]) -> Latency:
    """Sums up waiting times given in seconds."""
    if not seconds:
        return Latency(samples=0, p50_ms=None, p99_ms=None, max_ms=None)
    ordered = sorted(seconds)
    return Latency(
        samples=len(ordered),
        p50_ms=percentile(ordered, 0.5) * 1000,
        p99_ms=percentile(ordered, 0.99) * 1000,
        max_ms=ordered[-1] * 1000,
    )


def spread(values: Sequence[float]) -> Spread | None:
    """Median and extremes; None without values."""
    if not values:
        return None
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread | None:
    """The ratio of two series measured turn about, round by round.

    A machine that slows down for some seconds slows neighbours alike, so ratios of neighbours spread less than the
    ratio of two medians. Rounds in which the other measured nothing are left out.

    Raises:
        ValueError: the series have different lengths.
    """
    return spread([mine / other for mine, other in zip(ours, theirs, strict=True) if other])
