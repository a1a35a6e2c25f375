"""Rules of progress, mostly as properties."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.ids import new_id
from services.progress.domain import (
    COMPLETED_PERCENT,
    MAX_CLOCK_SKEW,
    VIEW_DAYS,
    Progress,
    Report,
    advance,
    begin,
    day_of_view,
    first_day,
    may_see,
    percent,
    session_started_at,
)
from services.progress.tests.fakes import ADMIN, COLLEAGUE, MEMBER, make_video, session_at

NOW = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)

positions = st.floats(min_value=0, allow_infinity=False, allow_nan=False)
durations = st.floats(min_value=0, exclude_min=True, allow_infinity=False, allow_nan=False)
moments = st.integers(0, NOW_MS)
v7_ids = st.builds(session_at, moments, st.integers(0, 3))
session_ids = st.none() | v7_ids | st.sampled_from(["tab-1", "tab-2", "", "00000000-0000-4000-8000-000000000000"])
reports = st.builds(
    Report,
    position_sec=positions,
    duration_sec=st.none() | durations,
    session_id=session_ids,
    seq=st.none() | st.integers(0, 5),
    completed=st.none() | st.booleans(),
)


def play(reports_: list[Report]) -> list[Progress]:
    """What is known after each report."""
    known: Progress | None = None
    states = []
    for report in reports_:
        known = begin(report, 0.0, NOW) if known is None else advance(known, report, NOW) or known
        states.append(known)
    return states


@given(positions, durations)
def test_percent_is_the_exact_floor(position: float, duration: float) -> None:
    exact = Fraction(position) * 100 / Fraction(duration)
    assert percent(position, duration) == min(exact.numerator // exact.denominator, 100)


@pytest.mark.parametrize("whole", range(101))
def test_whole_percents_are_exact(whole: int) -> None:
    assert percent(float(whole), 100.0) == whole


def test_percent_of_an_unknown_duration_is_0() -> None:
    assert percent(12.0, 0.0) == 0


@given(st.lists(reports, min_size=1, max_size=8))
def test_a_position_never_exceeds_a_known_duration(reports_: list[Report]) -> None:
    for state in play(reports_):
        assert state.duration_sec == 0 or 0 <= state.position_sec <= state.duration_sec
        assert 0 <= state.percent <= 100


@given(positions, durations)
def test_completed_is_95_percent(position: float, duration: float) -> None:
    state = begin(Report(position, duration), 0.0, NOW)
    assert state.completed == (state.percent >= COMPLETED_PERCENT)
    assert state.position_sec == min(position, duration)


@pytest.mark.parametrize(("position", "completed"), [(94.999, False), (95.0, True), (100.0, True), (250.0, True)])
def test_completed_threshold_is_exact(position: float, completed: bool) -> None:
    assert begin(Report(position, 100.0), 0.0, NOW).completed is completed


@given(st.permutations(range(6)), v7_ids | st.just("tab-1"))
def test_reports_of_one_session_may_arrive_in_any_order(order: list[int], session_id: str) -> None:
    last = play([Report(float(seq), 10.0, session_id, seq) for seq in order])[-1]
    assert (last.position_sec, last.seq) == (5.0, 5)


@given(st.lists(moments, min_size=2, max_size=3, unique=True), st.randoms(use_true_random=False))
def test_the_newest_session_wins_in_any_order(began: list[int], random: Random) -> None:
    sent = [Report(seq, 10.0, session_at(start), seq) for start in began for seq in range(3)]
    random.shuffle(sent)
    last = play(sent)[-1]
    assert (last.session_id, last.seq, last.position_sec) == (session_at(max(began)), 2, 2.0)


@given(st.lists(reports, min_size=1, max_size=8), v7_ids | st.just("tab-1"), st.integers(0, 9))
def test_repeated_sequence_number_counts_once(before: list[Report], session_id: str, seq: int) -> None:
    report = Report(1.0, 10.0, session_id, seq)
    known = play([*before, report])[-1]
    assert advance(known, report, NOW) is None or known.session_id != session_id


@given(st.lists(reports, min_size=1, max_size=8), positions, durations)
def test_without_a_session_the_last_report_wins(before: list[Report], position: float, duration: float) -> None:
    known = play(before)[-1]
    after = advance(known, Report(position, duration), NOW)
    assert after is not None
    assert (after.position_sec, after.duration_sec) == (min(position, duration), duration)
    assert (after.session_id, after.session_started_at, after.seq) == (
        known.session_id,
        known.session_started_at,
        known.seq,
    )


@given(st.lists(reports, min_size=2, max_size=12))
def test_newest_session_start_never_decreases(reports_: list[Report]) -> None:
    starts = [state.session_started_at or datetime.min.replace(tzinfo=UTC) for state in play(reports_)]
    assert starts == sorted(starts)


@given(st.lists(reports, min_size=2, max_size=12))
def test_sequence_numbers_never_decrease_within_a_session(reports_: list[Report]) -> None:
    states = play(reports_)
    for earlier, later in pairwise(states):
        if earlier.session_id == later.session_id and earlier.seq is not None:
            assert later.seq is not None
            assert later.seq >= earlier.seq


def test_older_session_is_ignored_after_report_without_session() -> None:
    new, old = session_at(NOW_MS), session_at(NOW_MS - 60_000)
    known = play([Report(50.0, 100.0, new, 7), Report(20.0, 100.0)])[-1]
    assert advance(known, Report(90.0, 100.0, old, 99), NOW) is None
    assert advance(known, Report(90.0, 100.0, new, 7), NOW) is None
    assert advance(known, Report(51.0, 100.0, new, 8), NOW) is not None


def test_two_sessions_of_one_moment_are_not_ordered() -> None:
    known = begin(Report(50.0, 100.0, session_at(NOW_MS, 1), 7), 0.0, NOW)
    after = advance(known, Report(5.0, 100.0, session_at(NOW_MS, 2), 0), NOW)
    assert after is not None
    assert after.position_sec == 5.0


def test_watching_again_clears_completed() -> None:
    states = play([Report(99.0, 100.0), Report(50.0, 100.0)])
    assert [state.completed for state in states] == [True, False]


@pytest.mark.parametrize(
    ("duration", "position", "completed"),
    [
        (100.0, 0.0, True),
        (100.0, 1.0, True),
        (100.0, 30.0, True),
        (100.0, 30.001, False),
        (7200.0, 359.0, True),
        (7200.0, 360.0, False),
        (12.0, 10.0, True),
    ],
)
def test_a_look_at_the_beginning_does_not_undo_completion(duration: float, position: float, completed: bool) -> None:
    states = play([Report(duration, duration), Report(position, duration)])
    assert [state.completed for state in states] == [True, completed]
    assert states[-1].position_sec == position


def test_a_beginning_that_was_never_completed_is_not_completed() -> None:
    assert [state.completed for state in play([Report(50.0, 100.0), Report(1.0, 100.0)])] == [False, False]


def test_report_can_set_completed() -> None:
    reports_ = [
        Report(99.0, 100.0, completed=False),
        Report(3.0, completed=True),
        Report(4.0),
        Report(4.0, completed=False),
    ]
    states = play(reports_)
    assert [state.completed for state in states] == [False, True, True, False]
    assert states[1].duration_sec == 100.0


def test_report_without_duration_uses_default() -> None:
    assert begin(Report(200.0), 100.0, NOW).position_sec == 100.0
    assert begin(Report(200.0), 0.0, NOW).position_sec == 200.0


@given(st.text(max_size=64) | st.uuids().map(str))
def test_other_session_ids_have_no_start(session_id: str) -> None:
    started = session_started_at(session_id, NOW)
    assert started is None or session_id[14] == "7"


@given(moments, st.integers(0, 2**62 - 1))
def test_uuid7_contains_its_time(milliseconds: int, salt: int) -> None:
    started = session_started_at(session_at(milliseconds, salt), NOW)
    assert started == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def test_platform_ids_contain_their_time() -> None:
    now = datetime.now(UTC)
    started = session_started_at(new_id(), now)
    assert started is not None
    assert abs(started - now) < timedelta(seconds=5)


@given(st.integers(NOW_MS + int(MAX_CLOCK_SKEW.total_seconds() * 1000) + 1, 2**48 - 1))
def test_session_from_the_future_has_no_start(milliseconds: int) -> None:
    assert session_started_at(session_at(milliseconds), NOW) is None


def test_visibility_by_role_and_corporation() -> None:
    platform, theirs = make_video(), make_video(corporation_id=COLLEAGUE.corporation_id)
    assert all(may_see(caller, platform) for caller in (MEMBER, COLLEAGUE, ADMIN))
    assert [may_see(caller, theirs) for caller in (MEMBER, COLLEAGUE, ADMIN)] == [False, True, True]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (NOW, NOW.date()),
        (NOW - timedelta(hours=5), NOW.date() - timedelta(days=1)),
        (NOW - timedelta(days=VIEW_DAYS - 1), first_day(VIEW_DAYS, NOW)),
        (NOW - timedelta(days=VIEW_DAYS), None),
        (NOW + timedelta(days=3), NOW.date()),
        (NOW.astimezone(timezone(timedelta(hours=-9))), NOW.date()),
    ],
)
def test_a_view_counts_on_its_day_in_utc(moment: datetime, day: date | None) -> None:
    assert day_of_view(moment, NOW) == day


def test_today_is_one_of_the_days() -> None:
    assert first_day(1, NOW) == NOW.date()
    assert first_day(7, NOW) == NOW.date() - timedelta(days=6)
