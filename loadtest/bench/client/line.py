"""One keep-alive connection with at most one request in flight."""

from __future__ import annotations

import mmap
import socket
import time

from loadtest.bench.client.jobs import Target
from loadtest.bench.wire import BadAnswer, Span, parse_header, request_head

PARTIAL = 206
RECEIVE_BYTES = 16 << 20
"""The most that is taken at a time."""
_HEADER_BYTES = 1024
_CONNECT_SEC = 10.0
_UNKNOWN = -1
# Never touched, so it takes no memory: with MSG_TRUNC the kernel throws bytes away instead of copying them (tcp(7)).
_SINK = mmap.mmap(-1, RECEIVE_BYTES)


class Line:
    """Sends requests and takes answers without looking at their bodies, only counting them.

    Args:
        target: what to ask for.
        viewer: whose authorisation to use.
        receive_buffer: bytes that the kernel may keep for a reader that does not read; its own choice when None.

    Attributes:
        asked_at: when the request was sent, by `time.perf_counter`.
        received: bytes of the body that came so far.
        missing: bytes of the body still to come; negative until the header is there.
    """

    __slots__ = ("_begun", "_head", "_length", "_socket", "asked_at", "missing", "received")

    def __init__(self, target: Target, viewer: int = 0, receive_buffer: int | None = None) -> None:
        allowed = target.authorizations
        headers = {"Authorization": allowed[viewer % len(allowed)]} if allowed else {}
        self._head = request_head(target.path, headers)
        self._socket = socket.socket()
        self._begun = b""
        self._length = 0
        self.asked_at = 0.0
        self.received = 0
        self.missing = 0
        try:
            if receive_buffer:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(_CONNECT_SEC)
            self._socket.connect(("127.0.0.1", target.port))
            self._socket.setblocking(False)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For epoll."""
        return self._socket.fileno()

    @property
    def is_idle(self) -> bool:
        """Whether the last answer has come completely."""
        return self.missing == 0

    def ask(self, span: Span) -> None:
        """Sends a request for a range.

        Raises:
            OSError: the connection is broken.
        """
        self.missing = _UNKNOWN
        self._length = span.length
        self.received = 0
        self.asked_at = time.perf_counter()
        self._socket.send(self._head + span.ending)

    def take(self, limit: int = RECEIVE_BYTES) -> int:
        """Takes what has come, up to `limit` bytes of the body; answers how many bytes of the body that were.

        Raises:
            OSError: the connection is broken.
            BadAnswer: the answer is not a 206 of the asked length, or ends too early.
        """
        taken = 0
        if self.missing < 0:
            taken = self._take_header()
            if self.missing <= 0:
                return taken
        try:
            came = self._socket.recv_into(_SINK, min(self.missing, limit), socket.MSG_TRUNC)
        except BlockingIOError:
            return taken
        if not came:
            raise BadAnswer(f"the connection ended {self.missing} bytes too early")
        self.missing -= came
        self.received += came
        return taken + came

    def _take_header(self) -> int:
        try:
            block = self._socket.recv(_HEADER_BYTES)
        except BlockingIOError:
            return 0
        if not block:
            raise BadAnswer("the connection ended before an answer")
        if self._begun:
            block = self._begun + block
        parsed = parse_header(block)
        if parsed is None:
            self._begun = block
            return 0
        self._begun = b""
        status, length, size = parsed
        if status != PARTIAL or length != self._length:
            raise BadAnswer(f"status {status} with {length} bytes instead of {PARTIAL} with {self._length}")
        came = len(block) - size
        if came > length:
            raise BadAnswer(f"{came - length} bytes more than promised")
        self.missing = length - came
        self.received = came
        return came

    def close(self) -> None:
        """Ends the connection, whatever is in flight."""
        self._socket.close()
