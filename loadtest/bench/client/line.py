"""One keep-alive connection with at most one request in flight."""

from __future__ import annotations

import mmap
import socket
import time

from loadtest.bench.client.jobs import Target
from loadtest.bench.wire import BadResponseError, Span, parse_header, request_head

PARTIAL = 206
RECEIVE_BYTES = 16 << 20
"""Most bytes received at a time."""
_HEADER_BYTES = 1024
_CONNECT_SEC = 10.0
_UNKNOWN = -1
# Never touched, so it takes no memory: with MSG_TRUNC the kernel drops bytes instead of copying them (tcp(7)).
_SINK = mmap.mmap(-1, RECEIVE_BYTES)


class Line:
    """Send requests and receive responses, and count the bytes of their bodies without reading them.

    Args:
        target: what to request.
        viewer: index of the viewer whose authorisation to use.
        receive_buffer: bytes that the kernel may buffer for a slow reader; its own choice if None.

    Attributes:
        asked_at: when the request was sent, by `time.perf_counter`.
        received: bytes of the body that were received so far.
        missing: bytes of the body still to come; negative until the header is complete.
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
        """Return the descriptor, for epoll."""
        return self._socket.fileno()

    @property
    def is_idle(self) -> bool:
        """Whether the last response is complete."""
        return self.missing == 0

    def ask(self, span: Span) -> None:
        """Send a request for a range.

        Raises:
            OSError: the connection is broken.
        """
        self.missing = _UNKNOWN
        self._length = span.length
        self.received = 0
        self.asked_at = time.perf_counter()
        self._socket.send(self._head + span.ending)

    def take(self, limit: int = RECEIVE_BYTES) -> int:
        """Receive up to `limit` bytes of the body; return how many bytes of the body that were.

        Raises:
            OSError: the connection is broken.
            BadResponseError: the response is not a 206 of the requested length, or ends too early.
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
            raise BadResponseError(f"the connection ended {self.missing} bytes too early")
        self.missing -= came
        self.received += came
        return taken + came

    def _take_header(self) -> int:
        try:
            block = self._socket.recv(_HEADER_BYTES)
        except BlockingIOError:
            return 0
        if not block:
            raise BadResponseError("the connection ended before an answer")
        if self._begun:
            block = self._begun + block
        parsed = parse_header(block)
        if parsed is None:
            self._begun = block
            return 0
        self._begun = b""
        status, length, size = parsed
        if status != PARTIAL or length != self._length:
            raise BadResponseError(f"status {status} with {length} bytes instead of {PARTIAL} with {self._length}")
        came = len(block) - size
        if came > length:
            raise BadResponseError(f"{came - length} bytes more than promised")
        self.missing = length - came
        self.received = came
        return came

    def close(self) -> None:
        """Close the connection, even with a request in flight."""
        self._socket.close()
