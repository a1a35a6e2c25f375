"""The events of a session. Their ids are made of what they tell, so that one told twice is recognised."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kit.audit import ADMIN_ACTED, Admin, AuditAction
from kit.events.envelope import Event
from kit.events.registry import type_of
from kit.ids import derived_id
from kit.telemetry import current
from marquee.events.v1 import stream_pb2
from services.stream.slots.models import EndReason, SessionRequest, from_ms

STARTED = type_of(stream_pb2.StreamStarted)
STOPPED = type_of(stream_pb2.StreamStopped)
ERROR = type_of(stream_pb2.StreamError)
SOURCE = "stream"


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The request that an event is due to; empty for what time did."""

    traceparent: str = ""
    request_id: str = ""

    @classmethod
    def here(cls) -> TraceContext:
        """The request in hand."""
        return cls(current("traceparent"), current("request_id"))


NOBODY = TraceContext()


def started(viewing: SessionRequest, at_ms: int, cause: TraceContext = NOBODY) -> Event:
    """It got its slot."""
    message = stream_pb2.StreamStarted()
    return _event(STARTED, message, viewing, at_ms, cause)


def stopped(
    viewing: SessionRequest,
    at_ms: int,
    *,
    started_ms: int,
    bytes_sent: int,
    reason: EndReason,
    cause: TraceContext = NOBODY,
) -> Event:
    """It gave its slot back, or lost it. A clock set back between the two makes it no shorter than nothing."""
    message = stream_pb2.StreamStopped(
        duration_seconds=max(at_ms - started_ms, 0) / 1000, bytes_transferred=bytes_sent, reason=reason.value
    )
    return _event(STOPPED, message, viewing, at_ms, cause)


def failed(
    viewing: SessionRequest, at_ms: int, error_code: str, error_message: str, cause: TraceContext = NOBODY
) -> Event:
    """It could not be served."""
    message = stream_pb2.StreamError(error_code=error_code, error_message=error_message)
    return _event(ERROR, message, viewing, at_ms, cause, error_code)


def stopped_by(admin: Admin, viewing: SessionRequest, at_ms: int, cause: TraceContext = NOBODY) -> Event:
    """An administrator stopped it, or took it out of the queue: for the audit log."""
    details = {"user_id": viewing.user_id, "video_id": viewing.video_id}
    act = AuditAction(admin, "stream.stopped", "stream", viewing.session_id, details)
    event = act.event(SOURCE, event_id=derived_id(viewing.session_id, ADMIN_ACTED), at=from_ms(at_ms))
    return replace(event, traceparent=cause.traceparent, request_id=cause.request_id)


def _event(
    type_: str,
    message: stream_pb2.StreamStarted | stream_pb2.StreamStopped | stream_pb2.StreamError,
    viewing: SessionRequest,
    at_ms: int,
    cause: TraceContext,
    *distinction: str,
) -> Event:
    message.session_id = viewing.session_id
    message.user_id = viewing.user_id
    message.video_id = viewing.video_id
    message.source = viewing.source
    message.timestamp.FromMilliseconds(at_ms)
    event = Event.of(
        message,
        source=SOURCE,
        subject=viewing.session_id,
        id=derived_id(viewing.session_id, type_, *distinction),
    )
    return replace(event, time=from_ms(at_ms), traceparent=cause.traceparent, request_id=cause.request_id)
