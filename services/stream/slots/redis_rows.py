"""Translate arguments and replies of the scripts of `RedisSlots`."""

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


def request_arguments(request: SessionRequest) -> tuple[str, str, str, str, str]:
    """Return a session as scripts take it: its id, user, client and device, and the whole request as JSON.

    The client (video and device) and the device are empty for explicit sessions.
    """
    client = device = ""
    if request.kind is Kind.IMPLICIT:
        device = request.device_key
        client = derived_id(request.video_id, device)
    text = json.dumps(asdict(request) | {"kind": request.kind.value})
    return request.session_id, request.user_id, client, device, text


def renewal_arguments(renewal: Renewal) -> tuple[str | int, ...]:
    """Return a renewal as `renew.lua` takes it."""
    session = renewal.session
    idle_ms = round(renewal.idle_sec * 1000)
    return (
        *request_arguments(session.request),
        session.state.value,
        to_ms(session.started_at),
        idle_ms,
        renewal.bytes_sent,
        int(renewal.is_finished),
    )


def read_request(text: str) -> SessionRequest:
    """Return the request that `request_arguments` wrote."""
    stored = json.loads(text)
    # Fields that a newer release added are ignored.
    fields = {name: stored[name] for name in SessionRequest.__dataclass_fields__ if name in stored}
    return SessionRequest(**fields | {"kind": Kind(fields["kind"])})


def read_position(row: Any) -> int:
    """Return the place in the queue, from 1; 0 for a session that plays."""
    return int(row[1])


def read_session(row: Any) -> Session:
    """Return a session from a row of `session_row` in `session_store.lua`."""
    text, position, replica, started_ms, seen_ms, bytes_sent = row
    return Session(
        request=read_request(text),
        state=State.QUEUED if position else State.ACTIVE,
        replica=replica,
        started_at=from_ms(started_ms),
        seen_at=from_ms(seen_ms),
        bytes_sent=bytes_sent,
    )


def read_by_age(rows: Sequence[Any]) -> list[Session]:
    """Return sessions, oldest first."""
    return sorted(map(read_session, rows), key=lambda session: (session.started_at, session.id))


def read_event(entry: Mapping[str, str]) -> Event:
    """Return the event that `emit` in `session_store.lua` wrote."""
    request, at_ms = read_request(entry["facts"]), int(entry["at"])
    trace = TraceContext(entry["traceparent"], entry["request_id"])
    match entry["type"]:
        case events.STARTED:
            return events.started(request, at_ms, trace)
        case events.STOPPED:
            return events.stopped(
                request,
                at_ms,
                started_ms=int(entry["started"]),
                bytes_sent=int(entry["bytes"]),
                reason=EndReason(entry["reason"]),
                trace=trace,
            )
        case audit.ADMIN_ACTED:
            return events.stopped_by(Admin(entry["admin"], entry["address"]), request, at_ms, trace)
        case _:
            return events.failed(request, at_ms, entry["code"], entry["message"], trace)
