"""Count and log what is sent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from http import HTTPStatus

import prometheus_client
import structlog

from kit.errors import ApiError
from services.stream.sessions.local_session import LocalSession

log = structlog.get_logger()
_levels = logging.getLogger(__name__)

PUBLISH_SEC = 1.0
BANDWIDTH_SEC = 10
ACTIVE = prometheus_client.Gauge(
    "stream_active_responses", "Responses whose body is being sent right now.", multiprocess_mode="livesum"
)
BYTES = prometheus_client.Counter("stream_bytes_total", "Body bytes handed to the network.")
BANDWIDTH = prometheus_client.Gauge(
    "stream_bandwidth_mbps",
    "Mbit/s of bodies that this process sends, over the last ten seconds; they add up to the platform's.",
    multiprocess_mode="livesum",
)
RESPONSES = prometheus_client.Counter("stream_responses_total", "Answers to requests for a video's bytes.", ["status"])


class Traffic:
    """The sums of this process since it started.

    Plain numbers, as they change with every block; the metrics follow once a second.

    Args:
        on_failure: called with a session, an error code and a message when its file fails.
    """

    def __init__(
        self, on_failure: Callable[[LocalSession, str, str], None] = lambda _session, _code, _message: None
    ) -> None:
        self.on_failure = on_failure
        self.active = 0
        self.bytes_sent = 0
        self.responses: Counter[int] = Counter()
        """How many responses there were, by status."""
        self._published_bytes = 0
        self._snapshots: deque[tuple[float, int]] = deque([(time.perf_counter(), 0)], maxlen=BANDWIDTH_SEC + 1)
        """When the metrics were published, and the bytes sent by then."""
        self._published: Counter[int] = Counter()

    @property
    def total(self) -> int:
        """Return the number of responses, of any status."""
        return self.responses.total()

    def transfer(
        self, user_id: str, content_id: str, request_id: str = "", local_session: LocalSession | None = None
    ) -> Transfer:
        """Return the transfer of the response to one request.

        Args:
            user_id: the caller.
            content_id: the video.
            request_id: for the log, where its context doesn't have it.
            local_session: the session that the response belongs to.
        """
        return Transfer(self, user_id, content_id, request_id, local_session)

    def publish(self) -> None:
        """Bring the metrics up to date."""
        ACTIVE.set(self.active)
        now = time.perf_counter()
        since, sent_then = self._snapshots[0]
        self._snapshots.append((now, self.bytes_sent))
        BANDWIDTH.set((self.bytes_sent - sent_then) * 8 / 1e6 / max(now - since, PUBLISH_SEC))
        BYTES.inc(self.bytes_sent - self._published_bytes)
        self._published_bytes = self.bytes_sent
        for status, count in (self.responses - self._published).items():
            RESPONSES.labels(status).inc(count)
            self._published[status] += count

    async def keep_published(self) -> None:
        """Publish every `PUBLISH_SEC` until cancelled."""
        while True:
            self.publish()
            await asyncio.sleep(PUBLISH_SEC)


class Transfer:
    """One response, from the authorised request to its last byte; see `file_response.Meter`."""

    __slots__ = (
        "_abort",
        "_content_id",
        "_is_open",
        "_request_id",
        "_started_at",
        "_status",
        "_traffic",
        "_ttfb_ms",
        "_user_id",
        "bytes",
        "is_cut_off",
        "local_session",
        "reaches_end",
    )

    def __init__(
        self, traffic: Traffic, user_id: str, content_id: str, request_id: str, local_session: LocalSession | None
    ) -> None:
        self._traffic = traffic
        self._user_id = user_id
        self._content_id = content_id
        self._request_id = request_id
        self._started_at = time.perf_counter()
        self._ttfb_ms = 0.0
        self._status = 0
        self._is_open = False
        self._abort: Callable[[], object] | None = None
        self.bytes = 0
        self.is_cut_off = False
        self.reaches_end = False
        """Whether the response goes up to the end of the file."""
        self.local_session = local_session
        """The session that the bytes belong to; None where there is none, as for a HEAD."""
        if local_session is not None:
            local_session.seen_at = self._started_at
            local_session.was_completed = False

    def begin(self, status: int, abort: Callable[[], object] | None = None) -> None:
        """Record that the headers are sent, and the body follows.

        Args:
            status: of the response.
            abort: ends it; by default the task that this is called from is cancelled.
        """
        self._status = status
        self._ttfb_ms = (time.perf_counter() - self._started_at) * 1000
        self._is_open = True
        self._traffic.active += 1
        if self.local_session is not None:
            self._abort = abort or _canceller()
            self.local_session.responses.add(self)

    def sent(self, count: int) -> None:
        """Count so many more bytes as sent."""
        self.bytes += count
        self._traffic.bytes_sent += count
        if self.local_session is not None:
            self.local_session.bytes_sent += count
            self.local_session.seen_at = time.perf_counter()

    def cut_off(self) -> None:
        """End the response, and its connection, short of what it promised."""
        self.is_cut_off = True
        if self._abort is not None:
            self._abort()

    def failed(self, code: str, message: str) -> None:
        """Report that the file could not be read as promised."""
        if self.local_session is not None:
            self._traffic.on_failure(self.local_session, code, message)

    def end(self, *, completed: bool) -> None:
        """Count the response as over. One that never began is not counted."""
        if not self._is_open:
            return
        self._is_open = False
        self._traffic.active -= 1
        self._abort = None
        if self.local_session is not None:
            self.local_session.end_response(self, completed=completed, reached_end=self.reaches_end)
        self._finish("completed" if completed else "cut_off" if self.is_cut_off else "aborted")

    def end_without_body(self, status: int, error: ApiError | None = None) -> None:
        """Count a response that has no bytes of the video in it: to a HEAD, a 304, an error."""
        self._status = status
        self._ttfb_ms = (time.perf_counter() - self._started_at) * 1000
        self._finish("completed", error)

    def _finish(self, outcome: str, error: ApiError | None = None) -> None:
        self._traffic.responses[self._status] += 1
        # A film is fetched in hundreds of ranges: only what went wrong is worth a line each.
        level = logging.DEBUG if outcome == "completed" and self._status < HTTPStatus.BAD_REQUEST else logging.INFO
        if not _levels.isEnabledFor(level):
            return
        log.log(
            level,
            "stream_response",
            user_id=self._user_id,
            content_id=self._content_id,
            status=self._status,
            bytes=self.bytes,
            outcome=outcome,
            ttfb_ms=round(self._ttfb_ms, 3),
            **(error.log_fields() if error else {}),
            **({"session_id": self.local_session.session.id} if self.local_session else {}),
            **({"request_id": self._request_id} if self._request_id else {}),
        )


def _canceller() -> Callable[[], object] | None:
    task = asyncio.current_task()
    return task.cancel if task else None
