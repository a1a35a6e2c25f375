"""Rules of watch progress, visibility and views. No I/O."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Final

from kit.auth.tokens import Caller
from kit.ids import is_id

COMPLETED_PERCENT = 95
"""From this position on a video counts as completed: viewers skip the credits."""

REPLAY_PERCENT = 5
REPLAY_SEC = 30.0
"""A completed video counts as watched again from the later of these on: a look at its beginning is not a replay."""

MAX_FILM_SEC = 30 * 86_400.0
"""Upper bound of durations and positions, in seconds; no film is longer."""

TOLERANCE_SEC = 1.0
"""Accepted difference between a player's and catalog's duration of a film, in seconds."""

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""A session id from further in the future than this was not made with this platform's clocks."""

VIEW_DAYS = 7
"""Days for which views of each video are kept, today included."""

ERASED_KEPT = timedelta(days=30)
"""How long erased users are remembered: longer than an event can be delayed."""

_UUID7 = 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Video:
    """A video as catalog describes it."""

    id: str
    title: str
    status: str
    duration_sec: float
    """In seconds; 0 until it is known."""
    thumbnail_url: str
    """Empty until there is one."""
    corporation_id: str
    """Empty for platform videos."""


def may_see(caller: Caller, video: Video) -> bool:
    """Return whether a video is visible to a caller: platform videos and those of the caller's corporation are."""
    return caller.is_admin or video.corporation_id in ("", caller.corporation_id)


@dataclass(frozen=True, slots=True)
class Report:
    """A position that a client reports."""

    position_sec: float
    duration_sec: float | None = None
    """None keeps the known duration."""
    session_id: str | None = None
    seq: int | None = None
    """Increases with each report of a play session."""
    completed: bool | None = None
    """None derives it from the position."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a viewer has come in a video, and the report that it comes from."""

    position_sec: float
    duration_sec: float
    """In seconds; 0 while it is unknown."""
    completed: bool
    session_id: str | None
    """The play session of the last report that named one."""
    session_started_at: datetime | None
    """Start of the newest play session that ever reported."""
    seq: int | None
    """The highest sequence number of `session_id` so far."""

    @property
    def percent(self) -> int:
        """The position in whole percents of the duration, 0 to 100."""
        return percent(self.position_sec, self.duration_sec)


def percent(position_sec: float, duration_sec: float) -> int:
    """Return a position in whole percents of a duration, rounded down; 0 while the duration is unknown."""
    if duration_sec <= 0:
        return 0
    # Exact: with floats, 29 of 100 becomes 28 in one order of operations, and large values overflow in the other.
    return min(int(100 * Fraction(position_sec) / Fraction(duration_sec)), 100)


def session_started_at(session_id: str | None, now: datetime) -> datetime | None:
    """Return when a play session began, read from its UUIDv7 (RFC 9562, 5.7); None for other or implausible ids."""
    if session_id is None or not is_id(session_id):
        return None
    identifier = uuid.UUID(session_id)
    if identifier.version != _UUID7:
        return None
    milliseconds = identifier.int >> 80
    # A wrong clock must not block all later sessions, nor an invented id exceed the calendar's range.
    if timedelta(milliseconds=milliseconds) > now - _EPOCH + MAX_CLOCK_SKEW:
        return None
    return _EPOCH + timedelta(milliseconds=milliseconds)


def within(report: Report, film_sec: float) -> Report:
    """Clamp a report to its film; `film_sec` is catalog's duration in seconds, 0 while it is unknown."""
    if film_sec <= 0 or report.duration_sec is None or report.duration_sec <= film_sec + TOLERANCE_SEC:
        return report
    return replace(report, duration_sec=film_sec, position_sec=min(report.position_sec, film_sec))


def is_longer(report: Report, current: Progress) -> bool:
    """Return whether a report claims a longer film than is known, so that catalog has to be asked."""
    return report.duration_sec is not None and report.duration_sec > current.duration_sec + TOLERANCE_SEC


def begin(report: Report, duration_sec: float, now: datetime) -> Progress:
    """Return the progress after the first report; `duration_sec` is used if the report has no duration."""
    initial = Progress(0.0, duration_sec, completed=False, session_id=None, session_started_at=None, seq=None)
    return _after(initial, report, session_started_at(report.session_id, now))


def advance(current: Progress, report: Report, now: datetime) -> Progress | None:
    """Return the progress after a further report; None if the report may not overwrite the current progress.

    The last report wins, except one of a session that began before the newest session, and one that was overtaken by a
    later report of its own session.
    """
    started_at = session_started_at(report.session_id, now)
    if started_at and current.session_started_at and started_at < current.session_started_at:
        return None
    of_same_session = report.session_id is not None and report.session_id == current.session_id
    if of_same_session and report.seq is not None and current.seq is not None and report.seq <= current.seq:
        return None
    return _after(current, report, started_at)


def _after(current: Progress, report: Report, started_at: datetime | None) -> Progress:
    duration_sec = current.duration_sec if report.duration_sec is None else report.duration_sec
    position_sec = min(report.position_sec, duration_sec) if duration_sec > 0 else report.position_sec
    completed = report.completed
    if completed is None:
        is_at_end = percent(position_sec, duration_sec) >= COMPLETED_PERCENT
        completed = is_at_end or (current.completed and not _is_replay(position_sec, duration_sec))
    session_id, seq = report.session_id, report.seq
    if session_id is None:
        # A report outside of any session: late reports of the current session must still be recognised.
        session_id, seq = current.session_id, current.seq
    elif session_id == current.session_id and seq is None:
        seq = current.seq
    return Progress(
        position_sec=position_sec,
        duration_sec=duration_sec,
        completed=completed,
        session_id=session_id,
        session_started_at=started_at or current.session_started_at,
        seq=seq,
    )


def _is_replay(position_sec: float, duration_sec: float) -> bool:
    """Return whether a viewer who has completed a video and is at this position now watches it again."""
    return position_sec > REPLAY_SEC and percent(position_sec, duration_sec) >= REPLAY_PERCENT


def first_day(days: int, now: datetime) -> date:
    """Return the first of a number of calendar days in UTC, of which today is the last."""
    return now.astimezone(UTC).date() - timedelta(days=days - 1)


def day_of_view(moment: datetime, now: datetime) -> date | None:
    """Return the UTC day that a view is counted on; None if it is too long ago. A future moment counts as today."""
    day = min(moment.astimezone(UTC).date(), now.astimezone(UTC).date())
    return day if day >= first_day(VIEW_DAYS, now) else None


@dataclass(frozen=True, slots=True)
class PlaySession:
    """A play session, as stream's events describe it."""

    session_id: str
    user_id: str
    video_id: str
    source: str
    """The tier that the bytes came from: "ssd", "nas" or "remote"."""


@dataclass(frozen=True, slots=True)
class Began:
    """A play session began."""

    session: PlaySession
    moment: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """A play session ended."""

    session: PlaySession
    moment: datetime
    seconds: float
    bytes_sent: int
    reason: str = ""


LOST: Final = "lost"
"""The reason of a session that never ended as far as can be known: stream's Redis lost it."""
LOST_AFTER: Final = timedelta(hours=24)
"""How long a session may run without a report of progress before it counts as lost."""


@dataclass(frozen=True, slots=True)
class ViewFilter:
    """Conditions on play sessions; None matches all."""

    user_id: str | None = None
    video_id: str | None = None
    begin: datetime | None = None
    """Earliest start of a session."""
    end: datetime | None = None
    """Sessions must start before this."""
