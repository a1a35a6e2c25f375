"""What the scripts of `RedisSlots` take and answer, translated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kit import audit
from kit.audit import Admin
from kit.events.envelope import Event
from kit.ids import derived_id
from services.stream.slots import events
from services.stream.slots.events import TraceContext
from services.stream.slots.models import EndReason, Kind, Renewal, Session, SessionRequest, State, from_ms, to_ms


def viewing_arguments(viewing: SessionRequest) -> tuple[str, str, str, str, str]:
    """What tells a script of a session: its id, user, client and device, and the whole as JSON."""
    client = device = ""
    if viewing.kind is Kind.IMPLICIT:
        device = viewing.device_key
        client = derived_id(viewing.video_id, device)
    facts = json.dumps(asdict(viewing) | {"kind": viewing.kind.value})
    return viewing.session_id, viewing.user_id, client, device, facts


def renewal_arguments(renewal: Renewal) -> tuple[str | int, ...]:
    """A renewal as `renew.lua` takes it."""
    session = renewal.session
    silence_ms = round(renewal.idle_sec * 1000)
    return (
        *viewing_arguments(session.viewing),
        session.state.value,
        to_ms(session.started_at),
        silence_ms,
        renewal.bytes_sent,
        int(renewal.is_finished),
    )


def read_viewing(facts: str) -> SessionRequest:
    """What was asked for, as `viewing_arguments` wrote it."""
    told = json.loads(facts)
    # What a newer release added, this one does not need.
    known = {name: told[name] for name in SessionRequest.__dataclass_fields__ if name in told}
    return SessionRequest(**known | {"kind": Kind(known["kind"])})


def read_place(row: Any) -> int:
    """In the queue; 0 of one that plays."""
    return int(row[1])


def read_session(row: Any) -> Session:
    """A session as `session` in `book.lua` wrote it."""
    facts, place, replica, started_ms, seen_ms, bytes_sent = row
    return Session(
        viewing=read_viewing(facts),
        state=State.QUEUED if place else State.ACTIVE,
        replica=replica,
        started_at=from_ms(started_ms),
        seen_at=from_ms(seen_ms),
        bytes_sent=bytes_sent,
    )


def read_by_age(rows: Sequence[Any]) -> list[Session]:
    """Sessions, oldest first."""
    return sorted(map(read_session, rows), key=lambda session: (session.started_at, session.id))


def read_event(entry: Mapping[str, str]) -> Event:
    """What `tell` in `book.lua` wrote."""
    viewing, at_ms = read_viewing(entry["facts"]), int(entry["at"])
    cause = TraceContext(entry["traceparent"], entry["request_id"])
    match entry["type"]:
        case events.STARTED:
            return events.started(viewing, at_ms, cause)
        case events.STOPPED:
            return events.stopped(
                viewing,
                at_ms,
                started_ms=int(entry["started"]),
                bytes_sent=int(entry["bytes"]),
                reason=EndReason(entry["reason"]),
                cause=cause,
            )
        case audit.ADMIN_ACTED:
            return events.stopped_by(Admin(entry["admin"], entry["address"]), viewing, at_ms, cause)
        case _:
            return events.failed(viewing, at_ms, entry["code"], entry["message"], cause)
