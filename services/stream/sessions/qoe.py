"""Metrics of the quality of experience that players report."""

from __future__ import annotations

from datetime import UTC, datetime

import prometheus_client

from services.stream.sessions.local_session import LocalSession

STARTUP = prometheus_client.Histogram(
    "player_startup_seconds",
    "Time from play to the first picture, as players measure it.",
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
STALL_RATIO = prometheus_client.Histogram(
    "player_stall_ratio",
    "Share of a session's time that its player waited for bytes, 0 to 1; one value a report.",
    buckets=(0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)
STALLS = prometheus_client.Counter("player_stalls", "Times that players stopped for lack of bytes.")
DROPPED = prometheus_client.Counter("player_dropped_frames", "Pictures that players could not show in time.")


def report(
    local_session: LocalSession,
    *,
    startup_ms: int | None,
    stalls: int,
    stall_ms: int,
    dropped_frames: int,
    now: datetime | None = None,
) -> None:
    """Record a player's report; what it repeats counts once.

    Args:
        local_session: its session.
        startup_ms: milliseconds from play to the first picture; None when that was reported, or is not known.
        stalls: how often it waited for bytes.
        stall_ms: for how many milliseconds in all.
        dropped_frames: pictures not shown in time.
        now: the time, if not the clock's.
    """
    reported = local_session.reported_qoe
    if startup_ms is not None and not reported.has_started:
        reported.has_started = True
        STARTUP.observe(startup_ms / 1000)
    elapsed = (now or datetime.now(UTC)) - local_session.session.started_at
    STALL_RATIO.observe(min(stall_ms / 1000 / max(elapsed.total_seconds(), stall_ms / 1000, 0.001), 1))
    STALLS.inc(max(stalls - reported.stalls, 0))
    DROPPED.inc(max(dropped_frames - reported.dropped_frames, 0))
    reported.stalls = max(reported.stalls, stalls)
    reported.dropped_frames = max(reported.dropped_frames, dropped_frames)
