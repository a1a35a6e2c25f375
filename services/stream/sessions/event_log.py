"""A log line, and a count, for each event of a session when it reaches the bus.

So a session whose replica was killed has its line, too; an event published twice, after a crash, may have two.
"""

from __future__ import annotations

import structlog

from kit.events.envelope import Event
from marquee.events.v1 import stream_pb2
from services.stream.sessions import metrics
from services.stream.slots import events

log = structlog.get_logger()


def write(event: Event) -> None:
    """Log and count an event of a session."""
    match event.type:
        case events.STARTED:
            metrics.STARTED.inc()
            log.info("stream_started", **_common(event.read(stream_pb2.StreamStarted)), request_id=event.request_id)
        case events.STOPPED:
            stopped = event.read(stream_pb2.StreamStopped)
            metrics.SECONDS.observe(stopped.duration_seconds)
            log.info(
                "stream_stopped",
                **_common(stopped),
                duration_sec=stopped.duration_seconds,
                bytes=stopped.bytes_transferred,
                reason=stopped.reason,
                request_id=event.request_id,
            )
        case events.ERROR:
            failed = event.read(stream_pb2.StreamError)
            metrics.ERRORS.labels(failed.error_code).inc()
            log.error(
                "stream_error",
                **_common(failed),
                code=failed.error_code,
                error=failed.error_message,
                request_id=event.request_id,
            )


def _common(
    message: stream_pb2.StreamStarted | stream_pb2.StreamStopped | stream_pb2.StreamError,
) -> dict[str, str | bool]:
    return {
        "session_id": message.session_id,
        "user_id": message.user_id,
        "content_id": message.video_id,
        "source": message.source,
        "cache_hit": message.source == "ssd",
    }
