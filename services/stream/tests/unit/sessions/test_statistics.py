"""Sums and rates over all sessions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.stream.sessions import SessionStatistics
from services.stream.slots import Session, State
from services.stream.tests.unit.slots.support import a_request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MBIT = 125_000
TICK = 5.0


def a_session(bytes_sent: int = 0, *, state: State = State.ACTIVE, source: str = "nas", user: str = "") -> Session:
    began = NOW - timedelta(seconds=100)
    return Session(a_request(user, source=source), state, "r1", began, NOW, bytes_sent)


def test_a_rate_is_how_much_the_bytes_grew_since_a_tick_ago() -> None:
    overview = SessionStatistics(TICK)
    session = a_session(100 * MBIT)
    assert overview.rates([session], NOW, at=0) == {session.id: 1}, "at first, the mean since it started"
    later = replace(session, bytes_sent=150 * MBIT)
    overview.rates([later], NOW, at=TICK)
    # Looks closer than a tick don't shorten what is measured.
    for at in (TICK + 1, TICK + 2):
        assert overview.rates([later], NOW, at=at)[session.id] == 50 / at
    assert overview.rates([later], NOW, at=2 * TICK)[session.id] == 0, "none since the last but one"


def test_looks_that_are_too_old_say_nothing_and_bytes_lost_are_no_negative_rate() -> None:
    overview = SessionStatistics(TICK)
    session = a_session(100 * MBIT)
    for at in (0, TICK):
        overview.rates([session], NOW, at=at)
    assert overview.rates([replace(session, bytes_sent=0)], NOW, at=2 * TICK)[session.id] == 0
    assert overview.rates([session], NOW, at=1000)[session.id] == 1


def test_summary_counts_playing_and_waiting_sessions() -> None:
    sessions = [
        a_session(MBIT, user="ann", source="ssd"),
        a_session(MBIT, user="ann"),
        a_session(state=State.QUEUED, user="bob"),
    ]
    summary = SessionStatistics(TICK).summary(sessions, NOW)
    assert (summary["active"], summary["queued"], summary["users"], summary["replicas"]) == (2, 1, 2, 1)
    assert (summary["bytes_sent"], summary["avg_duration_sec"]) == (2 * MBIT, 100)
    assert (summary["sources"], summary["cache_hit_rate"]) == ({"ssd": 1, "nas": 1}, 0.5)
    empty = SessionStatistics(TICK).summary([], NOW)
    assert (empty["active"], empty["avg_duration_sec"], empty["cache_hit_rate"]) == (0, 0, 0)
