"""The tables of the local bus and all SQL on them. Each function runs inside a transaction of `File`."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from kit.bus.port import DeadLetter
from kit.events.envelope import Event

SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,  -- made so far
    not_before REAL,                      -- Unix time of the next attempt; NULL: now
    type TEXT, source TEXT, subject TEXT, body BLOB, version INTEGER, id TEXT, time TEXT, traceparent TEXT,
    request_id TEXT
);
CREATE INDEX IF NOT EXISTS deliveries_ready ON deliveries (subscription, seq) WHERE not_before IS NULL;
CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (not_before) WHERE not_before IS NOT NULL;
CREATE TABLE IF NOT EXISTS dead_letters (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    died_at TEXT NOT NULL,
    type TEXT, source TEXT, subject TEXT, body BLOB, version INTEGER, id TEXT, time TEXT, traceparent TEXT,
    request_id TEXT
);
CREATE INDEX IF NOT EXISTS dead_letters_subscription ON dead_letters (subscription, seq);
"""

_ENVELOPE = "type, source, subject, body, version, id, time, traceparent, request_id"


@dataclass(frozen=True, slots=True)
class Row:
    """An event that a subscription has yet to handle."""

    seq: int
    attempts: int
    """Made so far."""
    event: Event


def insert(file: sqlite3.Connection, deliveries: Iterable[tuple[str, Event]]) -> None:
    """Add events, each for the subscription of that name."""
    file.executemany(
        f"INSERT INTO deliveries (subscription, {_ENVELOPE}) VALUES ({', '.join('?' * 10)})",  # noqa: S608
        [(name, *_to_columns(event)) for name, event in deliveries],
    )


def ready(file: sqlite3.Connection, subscription: str, besides: Collection[int], limit: int) -> list[Row]:
    """Return the oldest rows that may be handled now, at most `limit`, without those in hand (`besides`)."""
    found = file.execute(
        f"SELECT seq, attempts, {_ENVELOPE} FROM deliveries"  # noqa: S608
        " WHERE subscription = ? AND not_before IS NULL ORDER BY seq LIMIT ?",
        (subscription, len(besides) + limit),
    )
    # Some of those in hand may be deleted by now: take the first `limit` others, not all that are left.
    others = islice((found_row for found_row in found if found_row[0] not in besides), limit)
    return [Row(seq, attempts, _from_columns(columns)) for seq, attempts, *columns in others]


def delete(file: sqlite3.Connection, seq: int) -> None:
    """Delete a row: its event was handled."""
    file.execute("DELETE FROM deliveries WHERE seq = ?", (seq,))


def postpone(file: sqlite3.Connection, seq: int, not_before: float) -> None:
    """Record that an attempt failed; the next one is at that Unix time."""
    file.execute("UPDATE deliveries SET attempts = attempts + 1, not_before = ? WHERE seq = ?", (not_before, seq))


def make_ready(file: sqlite3.Connection) -> float:
    """End the waiting of rows that are due; return the Unix time when the next one is due, infinity if none is."""
    file.execute("UPDATE deliveries SET not_before = NULL WHERE not_before <= ?", (time.time(),))
    (due,) = file.execute("SELECT min(not_before) FROM deliveries WHERE not_before IS NOT NULL").fetchone()
    return float("inf") if due is None else float(due)


def bury(file: sqlite3.Connection, seq: int, reason: str) -> None:
    """Make a row a dead letter: its last attempt failed."""
    file.execute(
        f"INSERT INTO dead_letters (subscription, attempts, reason, died_at, {_ENVELOPE})"  # noqa: S608
        f" SELECT subscription, attempts + 1, ?, ?, {_ENVELOPE} FROM deliveries WHERE seq = ?",
        (reason, datetime.now(UTC).isoformat(), seq),
    )
    delete(file, seq)


def dead_letters(file: sqlite3.Connection, subscription: str | None, limit: int) -> list[DeadLetter]:
    """Return the oldest dead letters, at most `limit`, of one subscription or of all."""
    found = file.execute(
        f"SELECT subscription, attempts, reason, died_at, {_ENVELOPE} FROM dead_letters"  # noqa: S608
        " WHERE ? IS NULL OR subscription = ? ORDER BY seq LIMIT ?",
        (subscription, subscription, limit),
    )
    return [
        DeadLetter(
            subscription=name,
            event=_from_columns(columns),
            attempts=attempts,
            reason=reason,
            died_at=datetime.fromisoformat(died_at),
        )
        for name, attempts, reason, died_at, *columns in found
    ]


def replay(file: sqlite3.Connection, subscription: str, event_ids: Sequence[str] | None) -> int:
    """Turn dead letters back into deliveries that were never attempted; return how many."""
    dead = file.execute("SELECT seq, id FROM dead_letters WHERE subscription = ? ORDER BY seq", (subscription,))
    chosen = [(seq,) for seq, event_id in dead if event_ids is None or event_id in event_ids]
    file.executemany(
        f"INSERT INTO deliveries (subscription, {_ENVELOPE})"  # noqa: S608
        f" SELECT subscription, {_ENVELOPE} FROM dead_letters WHERE seq = ?",
        chosen,
    )
    file.executemany("DELETE FROM dead_letters WHERE seq = ?", chosen)
    return len(chosen)


def _to_columns(event: Event) -> tuple[Any, ...]:
    return (
        event.type,
        event.source,
        event.subject,
        event.body,
        event.version,
        event.id,
        event.time.isoformat(),
        event.traceparent,
        event.request_id,
    )


def _from_columns(columns: Sequence[Any]) -> Event:
    kind, source, subject, body, version, event_id, moment, traceparent, request_id = columns
    return Event(
        type=kind,
        source=source,
        subject=subject,
        body=body,
        version=version,
        id=event_id,
        time=datetime.fromisoformat(moment),
        traceparent=traceparent,
        request_id=request_id,
    )
