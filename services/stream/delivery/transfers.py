"""Counts and logs what is sent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from http import HTTPStatus

import prometheus_client
import structlog

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
        failed: told of errors of a session: its code, and a message.
    """

    def __init__(
        self, failed: Callable[[LocalSession, str, str], None] = lambda _playing, _code, _message: None
    ) -> None:
        self.failed = failed
        self.active = 0
        self.bytes_sent = 0
        self.answers: Counter[int] = Counter()
        """How many answers there were with each status."""
        self._published_bytes = 0
        self._looks: deque[tuple[float, int]] = deque([(time.perf_counter(), 0)], maxlen=BANDWIDTH_SEC + 1)
        """When the metrics were published, and the bytes sent by then."""
        self._published: Counter[int] = Counter()

    @property
    def total(self) -> int:
        """Answers in all."""
        return self.answers.total()

    def transfer(
        self, user_id: str, content_id: str, request_id: str = "", playing: LocalSession | None = None
    ) -> Transfer:
        """Begins to watch the answer to one request.

        Args:
            user_id: who asked.
            content_id: the video.
            request_id: where the log's context doesn't have it.
            playing: the session that it belongs to.
        """
        return Transfer(self, user_id, content_id, request_id, playing)

    def publish(self) -> None:
        """Brings the metrics up to date."""
        ACTIVE.set(self.active)
        now = time.perf_counter()
        since, sent_then = self._looks[0]
        self._looks.append((now, self.bytes_sent))
        BANDWIDTH.set((self.bytes_sent - sent_then) * 8 / 1e6 / max(now - since, PUBLISH_SEC))
        BYTES.inc(self.bytes_sent - self._published_bytes)
        self._published_bytes = self.bytes_sent
        for status, count in (self.answers - self._published).items():
            RESPONSES.labels(status).inc(count)
            self._published[status] += count

    async def keep_published(self) -> None:
        """Publishes until cancelled."""
        while True:
            self.publish()
            await asyncio.sleep(PUBLISH_SEC)


class Transfer:
    """One answer, from the authorised request to its last byte; `stream.sender.Meter` describes the calls."""

    __slots__ = (
        "_abort",
        "_asked_at",
        "_content_id",
        "_is_open",
        "_request_id",
        "_status",
        "_traffic",
        "_ttfb_ms",
        "_user_id",
        "bytes",
        "is_cut_off",
        "playing",
        "reaches_end",
    )

    def __init__(
        self, traffic: Traffic, user_id: str, content_id: str, request_id: str, playing: LocalSession | None
    ) -> None:
        self._traffic = traffic
        self._user_id = user_id
        self._content_id = content_id
        self._request_id = request_id
        self._asked_at = time.perf_counter()
        self._ttfb_ms = 0.0
        self._status = 0
        self._is_open = False
        self._abort: Callable[[], object] | None = None
        self.bytes = 0
        self.is_cut_off = False
        self.reaches_end = False
        """Whether the answer goes up to the end of the file."""
        self.playing = playing
        """The session that the bytes belong to; None where there is none, as for a HEAD."""
        if playing is not None:
            playing.seen_at = self._asked_at
            playing.was_completed = False

    def begin(self, status: int, abort: Callable[[], object] | None = None) -> None:
        """The headers go out, and the body follows.

        Args:
            status: of the answer.
            abort: ends it; by default the task that this is called from is cancelled.
        """
        self._status = status
        self._ttfb_ms = (time.perf_counter() - self._asked_at) * 1000
        self._is_open = True
        self._traffic.active += 1
        if self.playing is not None:
            self._abort = abort or _canceller()
            self.playing.responses.add(self)

    def sent(self, count: int) -> None:
        """So many bytes more were handed over."""
        self.bytes += count
        self._traffic.bytes_sent += count
        if self.playing is not None:
            self.playing.bytes_sent += count
            self.playing.seen_at = time.perf_counter()

    def cut_off(self) -> None:
        """Ends the answer, and its connection, short of what it promised."""
        self.is_cut_off = True
        if self._abort is not None:
            self._abort()

    def failed(self, code: str, message: str) -> None:
        """The file did not give what was promised of it."""
        if self.playing is not None:
            self._traffic.failed(self.playing, code, message)

    def end(self, *, completed: bool) -> None:
        """The answer is finished, or given up. Nobody saw one that never began."""
        if not self._is_open:
            return
        self._is_open = False
        self._traffic.active -= 1
        self._abort = None
        if self.playing is not None:
            self.playing.done(self, completed=completed, reached_end=self.reaches_end)
        self._finish("completed" if completed else "cut_off" if self.is_cut_off else "aborted")

    def answered(self, status: int) -> None:
        """The answer has no bytes of the video in it: a HEAD, a 304, an error."""
        self._status = status
        self._ttfb_ms = (time.perf_counter() - self._asked_at) * 1000
        self._finish("completed")

    def _finish(self, outcome: str) -> None:
        self._traffic.answers[self._status] += 1
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
            ttfb_ms=round(self._ttfb_ms, 2),
            **({"session_id": self.playing.session.id} if self.playing else {}),
            **({"request_id": self._request_id} if self._request_id else {}),
        )


def _canceller() -> Callable[[], object] | None:
    task = asyncio.current_task()
    return task.cancel if task else None
