"""Send segments of a file as an HTTP body: the one place that knows how bytes get from a file to the network.

Where the server offers it, the kernel moves those of a file on this machine (`zerocopy`). Elsewhere, as under TLS, and
when they come from another machine, they are read and written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import structlog
from starlette.types import Receive, Scope, Send

from kit.errors import ApiError, ErrorCode
from services.stream.storage.open_files import OpenFile
from services.stream.storage.port import StoredFile
from zerocopy import EXTENSION, RangeAnswer

log = structlog.get_logger()

ReplayRange = Callable[[bytes, Mapping[bytes, bytes]], RangeAnswer | None]
TRACING_FIELDS = frozenset(
    {
        b"x-request-id",
        b"x-correlation-id",
        # W3C Trace Context
        b"traceparent",
        b"tracestate",
        # B3, of Zipkin
        b"x-b3-traceid",
        b"x-b3-spanid",
        b"x-b3-parentspanid",
        # Of proxies and clouds
        b"x-amzn-trace-id",
        b"x-cloud-trace-context",
        b"x-amz-cf-id",
        b"cf-ray",
    }
)
"""Request fields that only tell requests apart. The request id is echoed and logged; no response depends on others."""
RawHeader = tuple[bytes, bytes]
RawHeaders = list[RawHeader]


@dataclass(slots=True)
class FileSegment:
    """A stretch of the file, which may be empty, and the bytes that come before it in the body."""

    offset: int
    count: int
    head: bytes = b""


class Meter(Protocol):
    """Watches a response as it is sent."""

    @property
    def bytes(self) -> int:
        """Return the bytes of the body that were sent so far."""

    @property
    def is_cut_off(self) -> bool:
        """Return whether the response was ended from our side: its task is cancelled then, and this is why."""

    def begin(self, status: int) -> None:
        """Record that the current task is about to send the headers."""

    def sent(self, count: int) -> None:
        """Count more bytes of the body, taken by the network or by the server where it sends them itself."""

    def end_without_body(self, status: int, error: ApiError | None = None) -> None:
        """Count a response that turned out to have no bytes of the file in it."""

    def failed(self, code: str, message: str) -> None:
        """Report that the file could not be read as promised."""

    def end(self, *, completed: bool) -> None:
        """Record that nothing more will be sent. Called once, also when `begin` never was."""


class _ReadError(Exception):
    """The file could not be read as promised."""


class EmptyResponse:
    """A response without a body, or without the one that its headers describe (RFC 9110, 9.3.2).

    Args:
        status: the HTTP status.
        headers: all headers.
    """

    def __init__(self, status: int, headers: RawHeaders) -> None:
        self.status = status
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Send the response."""
        await send({"type": "http.response.start", "status": self.status, "headers": self._headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class FileBody:
    """A response whose body is segments of a file.

    It holds one block at a time or, with zero copy, none; continues only when the client has taken the last one, and
    stops at once when the client is gone, or has lost the right to it. A file that turns out shorter than promised, or
    stops being readable, ends the connection before the promised length (RFC 9112, section 8): the client notices, and
    no bytes are made up.

    Args:
        status: the HTTP status.
        headers: all headers, `Content-Length` included.
        file: an open file.
        segments: what to send of it, in this order.
        meter: counts what is sent.
        tail: ends the body.
    """

    __slots__ = ("_file", "_headers", "_meter", "_segments", "_started", "_tail", "replay_range", "status")

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        file: StoredFile,
        segments: Sequence[FileSegment],
        *,
        meter: Meter,
        tail: bytes = b"",
    ) -> None:
        self.status = status
        self._headers = headers
        self._file = file
        self._segments = segments
        self._tail = tail
        self._meter = meter
        self._started = False
        self.replay_range: ReplayRange | None = None
        """Answers the same request for another range, if that can be done at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE when not even the first block can be read; nothing was sent then.
        """
        completed = False
        try:
            if isinstance(self._file, OpenFile) and EXTENSION in (scope.get("extensions") or ()):
                completed = await self._send_by_kernel(self._file, send)
            else:
                completed = await self._send_while_wanted(receive, send)
        except _ReadError as error:
            # Headers that are sent can't be taken back: an unfinished answer makes the server close the connection.
            log.error("stream_file_failed", error=str(error), headers_sent=self._started)
            self._meter.failed(ErrorCode.STREAM_FILE_UNAVAILABLE, str(error))
            if not self._started:
                answer = ApiError(ErrorCode.STREAM_FILE_UNAVAILABLE, headers={"Retry-After": "5"})
                self._meter.end_without_body(answer.code.http_status, answer)
                raise answer from error
        except asyncio.CancelledError:
            if not self._meter.is_cut_off:
                raise
            # Only this response is over, not the process: the server sees it unfinished, and closes the connection.
            if (task := asyncio.current_task()) and task.cancelling():
                task.uncancel()
        finally:
            self._meter.end(completed=completed)

    async def _send_by_kernel(self, file: OpenFile, send: Send) -> bool:
        """Have the server send the segments by the kernel; return whether the client took all of them."""
        meter, segments = self._meter, self._segments
        if segments and segments[0].count and not file.is_local:
            # A share that can't be read is better reported before the headers.
            async for _ in self._read(FileSegment(segments[0].offset, 1)):
                pass
        self._started = True
        meter.begin(self.status)
        await send({"type": "http.response.start", "status": self.status, "headers": self._headers})
        for number, segment in enumerate(segments, 1):
            if segment.head:
                await send({"type": "http.response.body", "body": segment.head, "more_body": True})
                meter.sent(len(segment.head))
            if not segment.count:
                continue
            whole = meter.bytes + segment.count
            message = {
                "type": EXTENSION,
                "file": file,
                "offset": segment.offset,
                "count": segment.count,
                "more_body": number < len(segments) or self._tail != b"",
                "residency": file.residency,
                "sent": meter.sent,
            }
            if self.replay_range is not None:
                message["again"] = self.replay_range
                message["tracing"] = TRACING_FIELDS
            try:
                await send(message)
            except OSError as error:
                raise _ReadError(str(error)) from error
            if meter.bytes < whole:
                return False
        if self._tail or not segments or not segments[-1].count:
            await send({"type": "http.response.body", "body": self._tail, "more_body": False})
            meter.sent(len(self._tail))
        return True

    async def _send_while_wanted(self, receive: Receive, send: Send) -> bool:
        sending = asyncio.ensure_future(self._send_by_reading(send))
        leaving = asyncio.ensure_future(_client_leaves(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
                return True
            leaving.result()
        except OSError:
            # How servers may say that the client is gone (ASGI HTTP specification 2.4).
            pass
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        return False

    async def _send_by_reading(self, send: Send) -> None:
        for segment in self._segments:
            head = segment.head
            async with aclosing(self._read(segment)) as blocks:
                async for block in blocks:
                    await self._start(send)
                    await self._send_block(send, head + block)
                    head = b""
            if head:
                await self._start(send)
                await self._send_block(send, head)
        await self._start(send)
        await send({"type": "http.response.body", "body": self._tail, "more_body": False})
        self._meter.sent(len(self._tail))

    async def _start(self, send: Send) -> None:
        if not self._started:
            self._started = True
            self._meter.begin(self.status)
            await send({"type": "http.response.start", "status": self.status, "headers": self._headers})

    async def _send_block(self, send: Send, block: bytes) -> None:
        await send({"type": "http.response.body", "body": block, "more_body": True})
        self._meter.sent(len(block))

    async def _read(self, segment: FileSegment) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a segment; raise `_ReadError`, so that failures of the file and of the client differ."""
        if not segment.count:
            return
        async with aclosing(self._file.blocks(segment.offset, segment.count)) as blocks:
            while True:
                try:
                    block = await anext(blocks, None)
                except OSError as error:
                    raise _ReadError(str(error)) from error
                if block is None:
                    return
                yield block


async def _client_leaves(receive: Receive) -> None:
    """Return when the client is gone; discard a body that comes with the request."""
    while (await receive())["type"] != "http.disconnect":
        pass
