"""Sends parts of a file as an HTTP body: the one place that knows how bytes get from a file to the network.

Where the server offers it, the kernel moves those of a file on this machine (`zerocopy`). Elsewhere, as under TLS, and
when they come from another machine, they are read and written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
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

RangeReplayer = Callable[[bytes], RangeAnswer | None]
RawHeader = tuple[bytes, bytes]
RawHeaders = list[RawHeader]


@dataclass(slots=True)
class Part:
    """A stretch of the file, which may be empty, and what comes before it in the body."""

    offset: int
    count: int
    head: bytes = b""


class Meter(Protocol):
    """What watches a response as it is sent."""

    @property
    def bytes(self) -> int:
        """How much of the body was taken so far."""

    @property
    def is_cut_off(self) -> bool:
        """Whether the response was ended from our side: its task is cancelled then, and this says why."""

    def begin(self, status: int) -> None:
        """The headers are about to go out, from the task that sends."""

    def sent(self, count: int) -> None:
        """So many more bytes of the body were taken by the network, or by the server where it sends them itself."""

    def answered(self, status: int) -> None:
        """The answer turned out to have no bytes of the file in it."""

    def failed(self, code: str, message: str) -> None:
        """The file did not give what was promised of it."""

    def end(self, *, completed: bool) -> None:
        """Nothing more will be sent. Called once, also when `begin` never was."""


class _ReadFailed(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The file did not give what was promised of it."""


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
        """Sends the response."""
        await send({"type": "http.response.start", "status": self.status, "headers": self._headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class FileBody:
    """A response whose body is parts of a file.

    It holds one block at a time or, with zero copy, none; goes on only when the client has taken the last one, and
    stops at once when the client is gone, or has lost the right to it. A file that turns out shorter than promised, or
    stops being readable, ends the connection before the promised length (RFC 9112, section 8): the client notices, and
    nothing is made up.

    Args:
        status: the HTTP status.
        headers: all headers, `Content-Length` included.
        file: an open file.
        parts: what to send of it, in this order.
        tail: what ends the body.
        meter: watches.
    """

    __slots__ = ("_file", "_headers", "_meter", "_parts", "_started", "_tail", "again", "status")

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        file: StoredFile,
        parts: Sequence[Part],
        *,
        meter: Meter,
        tail: bytes = b"",
    ) -> None:
        self.status = status
        self._headers = headers
        self._file = file
        self._parts = parts
        self._tail = tail
        self._meter = meter
        self._started = False
        self.again: RangeReplayer | None = None
        """Answers the same request for another range, if that can be done at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the response.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE when not even the first block can be read; nothing was sent then.
        """
        completed = False
        try:
            if isinstance(self._file, OpenFile) and EXTENSION in (scope.get("extensions") or ()):
                completed = await self._send_by_kernel(self._file, send)
            else:
                completed = await self._send_while_wanted(receive, send)
        except _ReadFailed as error:
            # Headers that are sent can't be taken back: an unfinished answer makes the server close the connection.
            log.error("stream_file_failed", error=str(error), headers_sent=self._started)
            self._meter.failed(ErrorCode.STREAM_FILE_UNAVAILABLE, str(error))
            if not self._started:
                self._meter.answered(ErrorCode.STREAM_FILE_UNAVAILABLE.http_status)
                raise ApiError(ErrorCode.STREAM_FILE_UNAVAILABLE, headers={"Retry-After": "5"}) from error
        except asyncio.CancelledError:
            if not self._meter.is_cut_off:
                raise
            # Only this response is over, not the process: the server sees it unfinished, and closes the connection.
            if (task := asyncio.current_task()) and task.cancelling():
                task.uncancel()
        finally:
            self._meter.end(completed=completed)

    async def _send_by_kernel(self, file: OpenFile, send: Send) -> bool:
        """Names the parts to the server, which has the kernel send them; answers whether the client took it all."""
        meter, parts = self._meter, self._parts
        if parts and parts[0].count and not file.is_local:
            # What a share can't read is better said before the headers.
            async for _ in self._read(Part(parts[0].offset, 1)):
                pass
        self._started = True
        meter.begin(self.status)
        await send({"type": "http.response.start", "status": self.status, "headers": self._headers})
        for place, part in enumerate(parts, 1):
            if part.head:
                await send({"type": "http.response.body", "body": part.head, "more_body": True})
                meter.sent(len(part.head))
            if not part.count:
                continue
            whole = meter.bytes + part.count
            message = {
                "type": EXTENSION,
                "file": file,
                "offset": part.offset,
                "count": part.count,
                "more_body": place < len(parts) or self._tail != b"",
                "residency": file.residency,
                "sent": meter.sent,
            }
            if self.again is not None:
                message["again"] = self.again
            try:
                await send(message)
            except OSError as error:
                raise _ReadFailed(str(error)) from error
            if meter.bytes < whole:
                return False
        if self._tail or not parts or not parts[-1].count:
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
        for part in self._parts:
            head = part.head
            async with aclosing(self._read(part)) as blocks:
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

    async def _read(self, part: Part) -> AsyncGenerator[bytes, None]:
        """The bytes of a part; what goes wrong at their source is told from what goes wrong at the client."""
        if not part.count:
            return
        async with aclosing(self._file.blocks(part.offset, part.count)) as blocks:
            while True:
                try:
                    block = await anext(blocks, None)
                except OSError as error:
                    raise _ReadFailed(str(error)) from error
                if block is None:
                    return
                yield block


async def _client_leaves(receive: Receive) -> None:
    """Returns when the client is gone; a body that comes with the request is thrown away."""
    while (await receive())["type"] != "http.disconnect":
        pass
