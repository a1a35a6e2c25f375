"""Rules about how far a viewer has come. No I/O."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from kit.auth.tokens import Caller
from kit.ids import is_id

COMPLETED_PERCENT = 95
"""From here on a video counts as watched to its end: credits need nobody."""

REPLAY_PERCENT = 5
REPLAY_SEC = 30.0
"""A completed video counts as watched again from the later of these on: looking at its beginning is not a replay."""

MAX_FILM_SEC = 30 * 86_400.0
"""No film is longer: what claims to be, is no duration, and no position, in seconds."""

TOLERANCE_SEC = 1.0
"""By so much a player and catalog may differ about the duration of a film."""

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""A session that began later than this from now was not made by our clocks."""

VIEW_DAYS = 7
"""For so many days, today included, it is known how often each video was watched."""

ERASED_KEPT = timedelta(days=30)
"""For so long it is known who was erased: longer than any event can still be on its way."""

_UUID7 = 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Video:
    """What catalog says of a video."""

    id: str
    title: str
    status: str
    duration_sec: float
    """0 until it is known."""
    thumbnail_url: str
    """Empty until there is one."""
    corporation_id: str
    """Empty for platform videos."""


def may_see(caller: Caller, video: Video) -> bool:
    """Whether a video is there at all for this caller: platform videos and those of one's own corporation are."""
    return caller.is_admin or video.corporation_id in ("", caller.corporation_id)


@dataclass(frozen=True, slots=True)
class Report:
    """A position that a client knows."""

    position_sec: float
    duration_sec: float | None = None
    """None leaves what is known."""
    session_id: str | None = None
    seq: int | None = None
    """Grows with each report of a session."""
    completed: bool | None = None
    """None leaves it to the position."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a viewer has come, and which report said so."""

    position_sec: float
    duration_sec: float
    """0 when nobody knows it."""
    completed: bool
    session_id: str | None
    """The session of the last report that named one."""
    session_started_at: datetime | None
    """When the newest session began of all that ever reported."""
    seq: int | None
    """The highest number that `session_id` has used."""

    @property
    def percent(self) -> int:
        """Whole percents up to the position, 0 to 100."""
        return percent(self.position_sec, self.duration_sec)


def percent(position_sec: float, duration_sec: float) -> int:
    """Whole percents of a duration, never rounded up; 0 while the duration is unknown."""
    if duration_sec <= 0:
        return 0
    # Exact: with floats 29 of 100 becomes 28 one way, and the largest overflow the other way.
    return min(int(100 * Fraction(position_sec) / Fraction(duration_sec)), 100)


def session_started_at(session_id: str | None, now: datetime) -> datetime | None:
    """When a session began, as its UUIDv7 tells (RFC 9562, 5.7); None when it tells nothing that can be believed."""
    if session_id is None or not is_id(session_id):
        return None
    identifier = uuid.UUID(session_id)
    if identifier.version != _UUID7:
        return None
    milliseconds = identifier.int >> 80
    # A wrong clock must not lock all later sessions out, nor a made-up id leave the calendar.
    if timedelta(milliseconds=milliseconds) > now - _EPOCH + MAX_CLOCK_SKEW:
        return None
    return _EPOCH + timedelta(milliseconds=milliseconds)


def within(report: Report, film_sec: float) -> Report:
    """Clamp a report to its film; `film_sec` is catalog's duration, 0 while nobody knows it."""
    if film_sec <= 0 or report.duration_sec is None or report.duration_sec <= film_sec + TOLERANCE_SEC:
        return report
    return replace(report, duration_sec=film_sec, position_sec=min(report.position_sec, film_sec))


def is_longer(report: Report, known: Progress) -> bool:
    """Whether a report claims a longer film than is known, so that catalog has to say how long it is."""
    return report.duration_sec is not None and report.duration_sec > known.duration_sec + TOLERANCE_SEC


def begin(report: Report, duration_sec: float, now: datetime) -> Progress:
    """What is known after the first report of all; `duration_sec` stands in where the report has none."""
    nothing = Progress(0.0, duration_sec, completed=False, session_id=None, session_started_at=None, seq=None)
    return _after(nothing, report, session_started_at(report.session_id, now))


def advance(known: Progress, report: Report, now: datetime) -> Progress | None:
    """What is known after a further report, or None when it may not overwrite what is known.

    The last report wins, but never one of a session that began before the newest, nor one that was overtaken by a later
    report of its own session.
    """
    started_at = session_started_at(report.session_id, now)
    if started_at and known.session_started_at and started_at < known.session_started_at:
        return None
    of_same_session = report.session_id is not None and report.session_id == known.session_id
    if of_same_session and report.seq is not None and known.seq is not None and report.seq <= known.seq:
        return None
    return _after(known, report, started_at)


def _after(known: Progress, report: Report, started_at: datetime | None) -> Progress:
    duration_sec = known.duration_sec if report.duration_sec is None else report.duration_sec
    position_sec = min(report.position_sec, duration_sec) if duration_sec > 0 else report.position_sec
    completed = report.completed
    if completed is None:
        is_at_end = percent(position_sec, duration_sec) >= COMPLETED_PERCENT
        completed = is_at_end or (known.completed and not _is_replay(position_sec, duration_sec))
    session_id, seq = report.session_id, report.seq
    if session_id is None:
        # Such a report is outside of any session: it must not open the way for late ones.
        session_id, seq = known.session_id, known.seq
    elif session_id == known.session_id and seq is None:
        seq = known.seq
    return Progress(
        position_sec=position_sec,
        duration_sec=duration_sec,
        completed=completed,
        session_id=session_id,
        session_started_at=started_at or known.session_started_at,
        seq=seq,
    )


def _is_replay(position_sec: float, duration_sec: float) -> bool:
    """Return whether a viewer who has completed a video and is at this position now watches it again."""
    return position_sec > REPLAY_SEC and percent(position_sec, duration_sec) >= REPLAY_PERCENT


def first_day(days: int, now: datetime) -> date:
    """The first of so many calendar days in UTC, of which today is the last."""
    return now.astimezone(UTC).date() - timedelta(days=days - 1)


def day_of_view(moment: datetime, now: datetime) -> date | None:
    """The day that a view is counted on; None when it is too long ago. A clock that is ahead means today."""
    day = min(moment.astimezone(UTC).date(), now.astimezone(UTC).date())
    return day if day >= first_day(VIEW_DAYS, now) else None


@dataclass(frozen=True, slots=True)
class Session:
    """A play session, as it is told."""

    session_id: str
    user_id: str
    video_id: str
    source: str
    """The tier that the bytes came from: "ssd", "nas" or "remote"."""


@dataclass(frozen=True, slots=True)
class ViewFilter:
    """Which play sessions are meant; None leaves a choice open."""

    user_id: str | None = None
    video_id: str | None = None
    begin: datetime | None = None
    """The first moment that a session may have started at."""
    end: datetime | None = None
    """The first moment that is too late."""
