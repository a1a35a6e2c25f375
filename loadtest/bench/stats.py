"""Medians, percentiles and ratios of repeated measurements."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pydantic import BaseModel


class Spread(BaseModel):
    """Median and extremes of several rounds."""

    median: float
    low: float
    high: float


class Latency(BaseModel):
    """Waiting times of one window in milliseconds; None if there were none."""

    samples: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest value that is not below a `share` of them.

    Args:
        ordered: at least one value, in ascending order.
        share: 0 < share <= 1.
    """
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latency(seconds: Sequence[float]) -> Latency:
    """Summarise waiting times given in seconds."""
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
    """Return median and extremes; None without values."""
    if not values:
        return None
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread | None:
    """Return the ratio of two series measured in turn, round by round.

    A machine that slows down for some seconds slows neighbouring rounds alike, so that their ratios vary less than the
    ratio of two medians. Rounds in which the other series measured nothing are left out.

    Raises:
        ValueError: the series have different lengths.
    """
    return spread([mine / other for mine, other in zip(ours, theirs, strict=True) if other])
