"""Sends parts of a file as an HTTP body: the one place that knows how bytes get from a file to the network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kit.errors import ApiError
from services.stream.files import OpenFile

log = structlog.get_logger()

BLOCK_BYTES = 256 * 1024
"""What is read, and held, at a time for each response."""

RawHeaders = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the file, and what comes before it in the body."""

    offset: int
    count: int
    head: bytes = b""


class Meter(Protocol):
    """What watches a response as it is sent."""

    def begin(self, status: int) -> None:
        """The headers are about to go out."""

    def sent(self, count: int) -> None:
        """So many more bytes of the body were handed to the server."""

    def answered(self, status: int) -> None:
        """The answer turned out to have no bytes of the file in it."""

    def end(self, *, completed: bool) -> None:
        """Nothing more will be sent. Called once, also when `begin` never was."""


class _ReadFailed(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """The file did not give what was promised of it."""


class FileBody(Response):
    """A response whose body is parts of a file.

    It holds one block at a time, reads the next one only when the client has taken the last, and stops at once when
    the client is gone. The file is closed in every case. A file that turns out shorter than promised, or stops being
    readable, ends the connection before the promised length (RFC 9112, section 8): the client notices, and nothing is
    made up.

    Args:
        status: the HTTP status.
        headers: all headers, `Content-Length` included.
        file: an open file; this response closes it.
        parts: what to send of it, in this order.
        tail: what ends the body.
        meter: watches.
    """

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        file: OpenFile,
        parts: Sequence[Part],
        *,
        meter: Meter,
        tail: bytes = b"",
    ) -> None:
        super().__init__(status_code=status)
        self.raw_headers = headers
        self._file = file
        self._parts = parts
        self._tail = tail
        self._meter = meter
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        """Sends the response.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE when not even the first block can be read; nothing was sent then.
        """
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_client_leaves(receive))
        completed = False
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                completed = self._judge(sending)
            else:
                leaving.result()
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self._file.close()
            self._meter.end(completed=completed)

    def _judge(self, sending: asyncio.Future[None]) -> bool:
        try:
            sending.result()
        except _ReadFailed as error:
            log.error("stream_file_failed", error=str(error), headers_sent=self._started)
            if not self._started:
                refusal = ApiError("STREAM_FILE_UNAVAILABLE", headers={"Retry-After": "5"})
                self._meter.answered(refusal.entry.http_status)
                raise refusal from error
            # An unfinished answer makes the server close the connection.
            return False
        except OSError:
            # How servers may say that the client is gone (ASGI HTTP specification 2.4).
            return False
        return True

    async def _send(self, send: Send) -> None:
        for part in self._parts:
            head, offset, end = part.head, part.offset, part.offset + part.count
            while offset < end:
                block = await self._read(offset, min(BLOCK_BYTES, end - offset))
                offset += len(block)
                await self._start(send)
                await send({"type": "http.response.body", "body": head + block, "more_body": True})
                self._meter.sent(len(head) + len(block))
                head = b""
        await self._start(send)
        await send({"type": "http.response.body", "body": self._tail, "more_body": False})
        self._meter.sent(len(self._tail))

    async def _start(self, send: Send) -> None:
        if not self._started:
            self._started = True
            self._meter.begin(self.status_code)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _read(self, offset: int, count: int) -> bytes:
        try:
            block = await self._file.read(offset, count)
        except OSError as error:
            raise _ReadFailed(str(error)) from error
        if not block:
            raise _ReadFailed(f"the file ends at or before byte {offset}")
        return block


async def _client_leaves(receive: Receive) -> None:
    """Returns when the client is gone; a body that comes with the request is thrown away."""
    while (await receive())["type"] != "http.disconnect":
        pass
