"""Counts and logs what is sent."""

from __future__ import annotations

import time

import structlog
from prometheus_client import Counter, Gauge

log = structlog.get_logger()

ACTIVE = Gauge("stream_active_responses", "Responses whose body is being sent right now.")
BYTES = Counter("stream_bytes_total", "Body bytes handed to the network.")
RESPONSES = Counter("stream_responses_total", "Answers to requests for a video's bytes.", ["status"])


class Traffic:
    """The sums of this replica since it started."""

    def __init__(self) -> None:
        self.active = 0
        self.total = 0
        self.bytes_sent = 0

    def transfer(self, user_id: str, content_id: str) -> Transfer:
        """Begins to watch the answer to one request."""
        return Transfer(self, user_id, content_id)


class Transfer:
    """One answer, from the authorised request to its last byte; `stream.sender.Meter` describes the calls."""

    def __init__(self, traffic: Traffic, user_id: str, content_id: str) -> None:
        self._traffic = traffic
        self._user_id = user_id
        self._content_id = content_id
        self._asked_at = time.perf_counter()
        self._ttfb_ms = 0.0
        self._status = 0
        self._is_open = False
        self._bytes = 0

    def begin(self, status: int) -> None:
        """The headers go out, and the body follows."""
        self._status = status
        self._ttfb_ms = round((time.perf_counter() - self._asked_at) * 1000, 2)
        self._is_open = True
        self._traffic.active += 1
        ACTIVE.inc()

    def sent(self, count: int) -> None:
        """So many bytes more were handed over."""
        self._bytes += count
        self._traffic.bytes_sent += count
        BYTES.inc(count)

    def end(self, *, completed: bool) -> None:
        """The answer is finished, or given up. Nobody saw one that never began."""
        if not self._is_open:
            return
        self._is_open = False
        self._traffic.active -= 1
        ACTIVE.dec()
        self._finish("completed" if completed else "aborted")

    def answered(self, status: int) -> None:
        """The answer has no bytes of the video in it: a HEAD, a 304, an error."""
        self._status = status
        self._ttfb_ms = round((time.perf_counter() - self._asked_at) * 1000, 2)
        self._finish("completed")

    def _finish(self, outcome: str) -> None:
        self._traffic.total += 1
        RESPONSES.labels(str(self._status)).inc()
        log.info(
            "stream_response",
            user_id=self._user_id,
            content_id=self._content_id,
            status=self._status,
            bytes=self._bytes,
            outcome=outcome,
            ttfb_ms=self._ttfb_ms,
        )
