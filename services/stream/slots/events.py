"""The events of a session. Their ids are derived from session and type, so that a repeated event is recognised."""

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
    """The HTTP or gRPC request that caused an event; empty for what time caused."""

    traceparent: str = ""
    request_id: str = ""

    @classmethod
    def current(cls) -> TraceContext:
        """Return the trace context of the request that is being handled."""
        return cls(current("traceparent"), current("request_id"))


NO_REQUEST = TraceContext()


def started(request: SessionRequest, at_ms: int, trace: TraceContext = NO_REQUEST) -> Event:
    """Return the event of a session that got its slot."""
    message = stream_pb2.StreamStarted()
    return _event(STARTED, message, request, at_ms, trace)


def stopped(
    request: SessionRequest,
    at_ms: int,
    *,
    started_ms: int,
    bytes_sent: int,
    reason: EndReason,
    trace: TraceContext = NO_REQUEST,
) -> Event:
    """Return the event of a session that gave back, or lost, its slot.

    Its duration is at least 0, even when the clock was set back meanwhile.
    """
    message = stream_pb2.StreamStopped(
        duration_seconds=max(at_ms - started_ms, 0) / 1000, bytes_transferred=bytes_sent, reason=reason.value
    )
    return _event(STOPPED, message, request, at_ms, trace)


def failed(
    request: SessionRequest, at_ms: int, error_code: str, error_message: str, trace: TraceContext = NO_REQUEST
) -> Event:
    """Return the event of a session that could not be served."""
    message = stream_pb2.StreamError(error_code=error_code, error_message=error_message)
    return _event(ERROR, message, request, at_ms, trace, error_code)


def stopped_by(admin: Admin, request: SessionRequest, at_ms: int, trace: TraceContext = NO_REQUEST) -> Event:
    """Return the audit event of an administrator who stopped a session, or took it out of the queue."""
    details = {"user_id": request.user_id, "video_id": request.video_id}
    action = AuditAction(admin, "stream.stopped", "stream", request.session_id, details)
    event = action.event(SOURCE, event_id=derived_id(request.session_id, ADMIN_ACTED), at=from_ms(at_ms))
    return replace(event, traceparent=trace.traceparent, request_id=trace.request_id)


def _event(
    type_: str,
    message: stream_pb2.StreamStarted | stream_pb2.StreamStopped | stream_pb2.StreamError,
    request: SessionRequest,
    at_ms: int,
    trace: TraceContext,
    *distinction: str,
) -> Event:
    message.session_id = request.session_id
    message.user_id = request.user_id
    message.video_id = request.video_id
    message.source = request.source
    message.timestamp.FromMilliseconds(at_ms)
    event = Event.of(
        message,
        source=SOURCE,
        subject=request.session_id,
        id=derived_id(request.session_id, type_, *distinction),
    )
    return replace(event, time=from_ms(at_ms), traceparent=trace.traceparent, request_id=trace.request_id)
