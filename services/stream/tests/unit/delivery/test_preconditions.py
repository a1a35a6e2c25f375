"""Conditional requests: every combination of headers against the steps of RFC 9110, 13.2.2."""

from __future__ import annotations

from email.utils import formatdate
from itertools import product

import pytest

from services.stream.delivery.preconditions import Conditions, PreconditionResult, Validators, evaluate_preconditions

NOW = 1_800_000_000.0
MODIFIED = 1_700_000_000
VALIDATORS = Validators.of(state="3e8-5", mtime_ns=MODIFIED * 10**9 + 5, version=3, now=NOW)
TAG = VALIDATORS.etag


def date(offset: int) -> str:
    return formatdate(MODIFIED + offset, usegmt=True)


# Each header's values, with what the condition is worth by itself: True, False, or None for "as if absent".
IF_MATCH = [
    (None, None),
    (TAG, True),
    ("*", True),
    (f'"a,b" , {TAG}', True),
    ('"other"', False),
    (f"W/{TAG}", False),
    ("unquoted", False),
    (f'{TAG} "x"', False),
]
IF_UNMODIFIED_SINCE = [(None, None), (date(0), True), (date(9), True), (date(-1), False), ("yesterday", None)]
IF_NONE_MATCH = [
    (None, None),
    ('"other"', True),
    (TAG, False),
    (f"W/{TAG}", False),
    (f', "x",{TAG}', False),
    ("*", False),
    ("", True),
]
IF_MODIFIED_SINCE = [(None, None), (date(-1), True), (date(0), False), (date(9), False), ("12", None)]
IF_RANGE = [
    (None, None),
    (TAG, True),
    (date(0), True),
    (f"W/{TAG}", False),
    ('"other"', False),
    (date(9), False),
    (date(-9), False),
    ("rubbish", False),
    (f"{TAG}, {TAG}", False),
]


def expected(
    match: bool | None, unmodified: bool | None, none_match: bool | None, modified: bool | None, range_: bool | None
) -> PreconditionResult:
    """Steps 1 to 5 of 13.2.2."""
    if match is False or (match is None and unmodified is False):
        return PreconditionResult.FAILED
    if none_match is False or (none_match is None and modified is False):
        return PreconditionResult.NOT_MODIFIED
    return PreconditionResult.IGNORE_RANGE if range_ is False else PreconditionResult.PROCEED


def test_every_combination_follows_the_order_of_the_rfc() -> None:
    for match, unmodified, none_match, modified, range_ in product(
        IF_MATCH, IF_UNMODIFIED_SINCE, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE
    ):
        conditions = Conditions(
            if_match=match[0],
            if_unmodified_since=unmodified[0],
            if_none_match=none_match[0],
            if_modified_since=modified[0],
            if_range=range_[0],
        )
        # A header that is there but whose date is malformed counts as absent; tags never do.
        worth = expected(match[1], unmodified[1], none_match[1], modified[1], range_[1])
        assert evaluate_preconditions(conditions, VALIDATORS) is worth, conditions


@pytest.mark.parametrize(
    ("text", "is_current"),
    [
        ("Tue, 14 Nov 2023 22:13:20 GMT", True),
        ("Tuesday, 14-Nov-23 22:13:20 GMT", True),
        ("Tue Nov 14 22:13:20 2023", True),
        ("Tuesday, 14-Nov-94 22:13:20 GMT", False),
        ("Tue, 14 Nov 2023 22:13:20", False),
        ("Tue, 14 Nov 2023 22:13:20 +0000", False),
        ("Tue, 99 Nov 2023 22:13:20 GMT", False),
        ("Tue, 14 Nov 0000 22:13:20 GMT", False),
        ("tue, 14 nov 2023 22:13:20 gmt", False),
    ],
)
def test_the_three_forms_of_a_date(text: str, *, is_current: bool) -> None:
    verdict = evaluate_preconditions(Conditions(if_range=text), VALIDATORS)
    assert verdict is (PreconditionResult.PROCEED if is_current else PreconditionResult.IGNORE_RANGE)


def test_a_date_proves_nothing_within_the_second_of_the_change() -> None:
    fresh = Validators.of(state="1-1", mtime_ns=MODIFIED * 10**9, version=1, now=MODIFIED + 0.9)
    assert evaluate_preconditions(Conditions(if_range=date(0)), fresh) is PreconditionResult.IGNORE_RANGE
    assert evaluate_preconditions(Conditions(if_range=fresh.etag), fresh) is PreconditionResult.PROCEED


def test_last_modified_is_never_in_the_future() -> None:
    ahead = Validators.of(state="1-1", mtime_ns=(MODIFIED + 3600) * 10**9, version=1, now=MODIFIED)
    assert ahead.last_modified == date(0)
    assert not ahead.modified_is_strong


def test_the_tag_changes_with_all_that_it_is_made_of() -> None:
    tags = {
        Validators.of(state=state, mtime_ns=10**9, version=version, layout=layout, now=NOW).etag
        for state, version, layout in product(("1-1", "1-2"), (1, 2), ("", "-a"))
    }
    assert len(tags) == 8
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)


def test_where_there_is_no_date_conditions_on_dates_say_nothing() -> None:
    undated = Validators.of(state="1", mtime_ns=None, version=1, now=NOW)
    assert undated.last_modified is None
    for conditions in (Conditions(if_modified_since=date(0)), Conditions(if_unmodified_since=date(-(10**6)))):
        assert evaluate_preconditions(conditions, undated) is PreconditionResult.PROCEED
    assert evaluate_preconditions(Conditions(if_range=date(0)), undated) is PreconditionResult.IGNORE_RANGE


@pytest.mark.parametrize("piece", ['"', ",", '"a",', "W/", " "])
def test_a_huge_list_of_tags_is_no_trouble(piece: str) -> None:
    hostile = piece * 200_000
    assert evaluate_preconditions(Conditions(if_match=hostile), VALIDATORS) is PreconditionResult.FAILED
