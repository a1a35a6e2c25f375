"""Totals of big lists are remembered for seconds, those of small ones never."""

from __future__ import annotations

from services.catalog.listing.totals import EXACT_BELOW, KEPT_SEC, Totals


def test_keeps_big_totals_for_seconds() -> None:
    now = 100.0
    totals = Totals(lambda: now)
    totals.put("small", EXACT_BELOW - 1, totals.begin())
    totals.put("big", EXACT_BELOW, totals.begin())
    assert (totals.get("small"), totals.get("big")) == (None, EXACT_BELOW)
    now += KEPT_SEC
    assert totals.get("big") is None
