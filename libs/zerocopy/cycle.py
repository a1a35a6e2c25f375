"""One request and its response, with parts of files in the body."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from zerocopy.head import Headers, render
from zerocopy.messages import EXTENSION
from zerocopy.segment import SendSegment
from zerocopy.sender import ClientGoneError

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

    from zerocopy.connection import Connection

_JOINED_BYTES = 64 * 1024
"""Bodies up to this size are copied behind the headers, so that both leave in one segment."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ZeroCopyCycle(RequestResponseCycle):
    """Uvicorn's request-response cycle, which also takes the extension's message.

    The headers are held back until something follows them, as ASGI allows (HTTP specification, "Response Start"): both
    leave together, and until then another `http.response.start` may replace the first. Only HTTP/1.1 clients get chunks
    (RFC 9112, 6.1); for older ones the end of the connection ends a body of unknown length.

    Args:
        connection: where the request came from.
        scope: the request.
        keep_alive: whether the connection may stay open after it.
        expect_100_continue: whether the client waits for 100 (Continue) before it sends the body.
    """

    def __init__(
        self, connection: Connection, scope: HTTPScope, *, keep_alive: bool, expect_100_continue: bool
    ) -> None:
        super().__init__(
            scope,
            connection.transport,
            connection.flow,
            connection.logger,
            connection.access_logger,
            connection.access_log,
            connection.server_state.default_headers,
            asyncio.Event(),
            expect_100_continue,
            keep_alive,
            connection.on_response_complete,
        )
        self._connection = connection
        self._head = b""
        self._ends_with_connection = False
        self.received = b""
        """The request's bytes, if they were received whole and without others."""
        self.has_parts = False
        """Whether the body contains parts of files."""
        self.awaits_client = False
        """Whether the application waits for a message of the request."""
        self.writes = 0
        """How many writes were made that are no part of a file."""

    async def send(self, message: Any) -> None:
        """Take a message of the response: ASGI's `send`.

        Raises:
            OSError: a file can't be read, or ends early.
            RuntimeError: the message is not allowed here, or the body does not have the promised length.
        """
        # Wait until all that was sent before is in the kernel: the write buffer's limit is 0.
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if self.has_parts and self._connection.is_sending:
            raise RuntimeError("A part of a file is still being sent.")
        if self.response_complete:
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        if kind == "http.response.start":
            if self.response_started:
                raise RuntimeError(f"Expected ASGI message 'http.response.body', but got '{kind}'.")
            self._start(message["status"], message.get("headers", ()))
        elif not self._head and not self.response_started:
            raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{kind}'.")
        elif kind == EXTENSION and self._connection.offers_zero_copy:
            await self._send_part(message)
        elif kind == "http.response.body":
            self._send_body(message.get("body", b""), more_body=message.get("more_body", False))
        else:
            raise RuntimeError(f"Expected ASGI message 'http.response.body', but got '{kind}'.")

    async def receive(self) -> Any:
        """Wait for a message of the request: ASGI's `receive`."""
        # An application that waits for the client may send nothing for long (server-sent events): send the headers now.
        if self._head and not self.disconnected:
            self._write(b"")
        self.awaits_client = True
        try:
            return await super().receive()
        finally:
            self.awaits_client = False

    def _start(self, status: int, headers: Headers) -> None:
        if self.access_log:
            self.access_logger.info(
                '%s - "%s %s HTTP/%s" %d',
                get_client_addr(self.scope),
                self.scope["method"],
                get_path_with_query_string(self.scope),
                self.scope["http_version"],
                status,
            )
        head = render(
            status,
            (*self.default_headers, *headers),
            method=self.scope["method"],
            http_version=self.scope["http_version"],
            keeps_alive=self.keep_alive,
        )
        self._head, self.expected_content_length, self.chunked_encoding, self._ends_with_connection, _ = head
        self.keep_alive = head.keeps_alive
        self.waiting_for_100_continue = False

    def _send_body(self, body: bytes, *, more_body: bool) -> None:
        self._count(len(body), more_body=more_body)
        if self.scope["method"] == "HEAD":
            body = b""
        elif self.chunked_encoding:
            framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = framed if more_body else framed + b"0\r\n\r\n"
        self._write(body)
        if not more_body:
            self._complete()

    async def _send_part(self, message: Any) -> None:
        file, offset, count, moves_position = _range(message)
        more_body = message.get("more_body", False)
        if self.scope["method"] == "HEAD" or not count:
            self._send_body(b"", more_body=more_body)
            return
        self._count(count, more_body=more_body)
        head, self._head = self._head, b""
        part = SendSegment(b"%b%x\r\n" % (head, count) if self.chunked_encoding else head, file, offset, count)
        self.has_parts = True
        try:
            waiter = self._connection.sender.send(part, message.get("sent"), message.get("residency"))
            if waiter is not None:
                self.response_started = self.response_started or part.has_started
                try:
                    await waiter
                finally:
                    self._connection.stop_sending()
        except ClientGoneError:
            self._break()
            return
        except BaseException:
            # A response that has begun can't be continued. One that has not may be replaced by another.
            if self.response_started or part.has_started:
                self._break()
            raise
        self.response_started = True
        if "again" in message and self.keep_alive and not (more_body or self.chunked_encoding):
            self._connection.remember(self.received, message["again"], message.get("tracing", frozenset()))
        if moves_position:
            os.lseek(file, offset + count, os.SEEK_SET)
        if self.chunked_encoding:
            self._write(b"\r\n" if more_body else b"\r\n0\r\n\r\n")
        if not more_body:
            self._complete()

    def _count(self, count: int, *, more_body: bool) -> None:
        """Check the length of the body against Content-Length."""
        if self.chunked_encoding or self._ends_with_connection or self.scope["method"] == "HEAD":
            return
        left = self.expected_content_length - count
        if left < 0:
            raise RuntimeError("Response content longer than Content-Length")
        if left and not more_body:
            raise RuntimeError("Response content shorter than Content-Length")
        self.expected_content_length = left

    def _write(self, body: bytes) -> None:
        head, self._head = self._head, b""
        self.response_started = True
        self.writes += 1
        if head and len(body) > _JOINED_BYTES:
            self.transport.write(head)
            self.transport.write(body)
        elif head or body:
            self.transport.write(head + body)

    def _complete(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _break(self) -> None:
        """Abort the connection, because the body can't be completed."""
        self.disconnected = True
        self.message_event.set()
        if self._ends_with_connection:
            # An orderly end would look like the end of the body.
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


def _range(message: Any) -> tuple[int, int, int, bool]:
    """Return descriptor, offset and count of a message, and whether the file's position has to move."""
    file = message["file"]
    if not isinstance(file, int):
        file = file.fileno()
    offset = message.get("offset")
    moves_position = offset is None
    if moves_position:
        offset = os.lseek(file, 0, os.SEEK_CUR)
    count = message.get("count")
    if count is None:
        count = max(0, os.fstat(file).st_size - offset)
    if offset < 0 or count < 0:
        raise ValueError("The offset and the count of a part of a file must not be negative.")
    return file, offset, count, moves_position
