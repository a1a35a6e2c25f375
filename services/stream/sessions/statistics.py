"""Sums and rates over all sessions, from what the store has. No I/O."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from services.stream.slots import Session, State

HOT = "ssd"
_MBIT = 1e6 / 8
_LONGEST_SEC = 120.0
"""An older snapshot is not used: it would not give the current rate."""


@dataclass(frozen=True, slots=True)
class ByteSnapshot:
    """The bytes of each session at one moment."""

    at: float
    bytes_sent: dict[str, int]


class Summary(TypedDict):
    """See `services.stream.schemas.StreamMetrics`."""

    active: int
    queued: int
    users: int
    replicas: int
    bytes_sent: int
    bandwidth_mbps: float
    avg_duration_sec: float
    sources: dict[str, int]
    cache_hit_rate: float


class SessionStatistics:
    """Sums and rates over all sessions.

    The rate of a session is how much its bytes grew since a snapshot at least one tick ago: replicas report bytes once
    a tick, so that closer snapshots would see steps. A session without such a snapshot has its mean rate.

    Args:
        tick_sec: how often replicas report bytes, in seconds.
    """

    def __init__(self, tick_sec: float) -> None:
        self._tick_sec = tick_sec
        self._older: ByteSnapshot | None = None
        self._newer: ByteSnapshot | None = None

    def rates(self, sessions: Sequence[Session], now: datetime, at: float | None = None) -> dict[str, float]:
        """Return the rates of all sessions, in Mbit/s, by id.

        Args:
            sessions: all of them, as the store has them now.
            now: the time.
            at: the same on a clock that never jumps, in seconds.
        """
        at = time.monotonic() if at is None else at
        snapshot = ByteSnapshot(at, {each.id: each.bytes_sent for each in sessions})
        if self._newer is None or at - self._newer.at >= self._tick_sec:
            self._older, self._newer = self._newer, snapshot
        before = self._older if self._older and at - self._older.at <= _LONGEST_SEC else None
        return {each.id: self._rate(each, before, at, now) for each in sessions}

    def summary(self, sessions: Sequence[Session], now: datetime) -> Summary:
        """Return the sums and means over all sessions.

        Args:
            sessions: all of them, as the store has them now.
            now: the time.
        """
        active = [each for each in sessions if each.state is State.ACTIVE]
        sources = Counter(each.request.source for each in active)
        seconds = sum(max((now - each.started_at).total_seconds(), 0) for each in active)
        return Summary(
            active=len(active),
            queued=len(sessions) - len(active),
            users=len({each.request.user_id for each in sessions}),
            replicas=len({each.replica for each in sessions}),
            bytes_sent=sum(each.bytes_sent for each in active),
            bandwidth_mbps=round(sum(self.rates(sessions, now).values()), 3),
            avg_duration_sec=round(seconds / max(len(active), 1), 3),
            sources=dict(sources),
            cache_hit_rate=round(sources[HOT] / max(len(active), 1), 4),
        )

    @staticmethod
    def _rate(session: Session, before: ByteSnapshot | None, at: float, now: datetime) -> float:
        if session.state is not State.ACTIVE:
            return 0.0
        if before is not None and session.id in before.bytes_sent:
            sent, sec = session.bytes_sent - before.bytes_sent[session.id], at - before.at
        else:
            sent, sec = session.bytes_sent, (now - session.started_at).total_seconds()
        return max(sent, 0) / _MBIT / max(sec, 1.0)
