"""The score of a viewer, and the watermark that it makes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from services.stream.protection.watermark import RiskSignals, risk_score, watermark, watermark_text

CALM = RiskSignals(is_new_device=False, devices=1, is_offline=False, account_age_days=400.0, failures=0)


@pytest.mark.parametrize(
    ("changed", "score"),
    [
        ({}, 0),
        ({"is_new_device": True}, 25),
        ({"devices": 3}, 0),
        ({"devices": 4}, 5),
        ({"devices": 7}, 20),
        ({"devices": 70}, 20),
        ({"is_offline": True}, 20),
        ({"account_age_days": 0.5}, 20),
        ({"account_age_days": 6.9}, 10),
        ({"account_age_days": 7.0}, 0),
        ({"account_age_days": None}, 0),
        ({"failures": 2}, 10),
        ({"failures": 9}, 15),
        ({"is_new_device": True, "devices": 9, "is_offline": True, "account_age_days": 0.0, "failures": 9}, 100),
    ],
)
def test_score_is_the_documented_one(changed: dict[str, Any], score: int) -> None:
    assert risk_score(replace(CALM, **changed)) == score


def test_strength_grows_with_the_score() -> None:
    marks = [watermark("x", score) for score in range(101)]
    assert (marks[0].opacity, marks[0].size, marks[0].interval_sec, marks[0].visible_sec) == (0.12, 0.025, 90, 4)
    assert (marks[100].opacity, marks[100].size, marks[100].interval_sec, marks[100].visible_sec) == (
        0.35,
        0.045,
        20,
        12,
    )
    for weaker, stronger in pairwise(marks):
        assert weaker.opacity <= stronger.opacity
        assert weaker.size <= stronger.size
        assert weaker.interval_sec >= stronger.interval_sec
        assert weaker.visible_sec <= stronger.visible_sec < stronger.interval_sec


def test_text_names_the_viewer_also_without_a_name() -> None:
    user_id = "018f6e2a-0000-7000-8000-0000000000c0"
    assert watermark_text("Kim", user_id) == "Kim · 000000c0"
    assert watermark_text(None, user_id) == user_id
