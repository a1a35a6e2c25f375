"""A foreign HTTP server, as helpful or as broken as a test wants it.

async with Origin() as origin:
origin.files["/a.mp4"] = b"..."
origin.breaks_off_after = 1000
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import sha256
from typing import Self

_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")
MODIFIED = 1_700_000_000
BLOCK = 16 * 1024


@dataclass
class Asked:
    """A request that came."""

    path: str
    fields: dict[str, str]

    @property
    def range(self) -> str | None:
        """The bytes that were asked for."""
        return self.fields.get("range")


@dataclass
class Origin:
    """An HTTP/1.1 server on the loopback; changed attributes take effect with the next request."""

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    """Where paths lead to."""
    status: int | None = None
    """Answered instead of everything."""
    takes_ranges: bool = True
    etag: str | None = ""
    """The entity tag of everything; empty for one made of the content, None for none."""
    modified: int | None = MODIFIED
    """Of everything, in seconds since 1970; None for none."""
    sends_length: bool = True
    content_range: str | None = None
    """Sent instead of the right one."""
    fields: dict[str, str] = field(default_factory=dict)
    """More header fields of every answer."""
    breaks_off_after: int | None = None
    """Bytes of a body after which the connection is cut."""
    breaks_off_times: int | None = None
    """How often; None for always."""
    hangs: asyncio.Event | None = None
    """Nothing is answered until it is set."""
    hangs_after: int | None = None
    """Bytes of a body after which nothing more comes until the connection is cut."""
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0
    """Bytes of bodies that left, as far as the buffers of the connections took them."""
    connections: int = 0
    """Connections accepted so far."""
    open_connections: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None
    _server: asyncio.Server | None = None
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop it, and what it was sending."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def url(self, path: str) -> str:
        """Return the URL of a file."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        self.connections += 1
        self.open_connections += 1
        # A small buffer, so that a reader that waits has an effect at once.
        writer.transport.set_write_buffer_limits(high=BLOCK)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether another may follow."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        _, target, _ = lines[0].split(" ")
        pairs = (line.partition(":") for line in lines[1:] if line)
        asked = Asked(target, {name.lower(): value.strip() for name, _, value in pairs})
        self.asked.append(asked)
        if self.hangs is not None:
            await self.hangs.wait()
        status, fields, body = self._decide(asked)
        head = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        writer.write("\r\n".join(head).encode("latin-1"))
        return await self._send(writer, body) and self.sends_length

    def _decide(self, asked: Asked) -> tuple[int, dict[str, str], bytes | memoryview]:
        path = asked.path.partition("?")[0]
        if self.status is not None:
            return self.status, {"Content-Length": "0", **self.fields}, b""
        if path in self.redirects:
            return 302, {"Location": self.redirects[path], "Content-Length": "0"}, b""
        if path not in self.files:
            return 404, {"Content-Length": "0"}, b""
        content = self.files[path]
        fields = {"Content-Type": "video/mp4", "Accept-Ranges": "bytes"}
        tag = f'"{sha256(content).hexdigest()[:16]}"' if self.etag == "" else self.etag
        if tag is not None:
            fields["ETag"] = tag
        if self.modified is not None:
            fields["Last-Modified"] = formatdate(self.modified, usegmt=True)
        status, body = 200, memoryview(content)
        wanted = _RANGE.fullmatch(asked.range or "")
        if wanted and self.takes_ranges and asked.fields.get("if-range", tag) == tag:
            first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
            if first >= len(content):
                return 416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"}, b""
            status, body = 206, body[first : last + 1]
            fields["Content-Range"] = self.content_range or f"bytes {first}-{last}/{len(content)}"
        if self.sends_length:
            fields["Content-Length"] = str(len(body))
        return status, fields | self.fields, body

    async def _send(self, writer: asyncio.StreamWriter, body: bytes | memoryview) -> bool:
        for at in range(0, len(body), BLOCK):
            block = body[at : at + BLOCK]
            if self._breaks_off() and self.breaks_off_after is not None and at + len(block) > self.breaks_off_after:
                writer.write(block[: max(0, self.breaks_off_after - at)])
                await writer.drain()
                if self.breaks_off_times:
                    self.breaks_off_times -= 1
                # What was written is to arrive before the end does.
                writer.close()
                await writer.wait_closed()
                return False
            if self.hangs_after is not None and at + len(block) > self.hangs_after:
                await asyncio.Event().wait()
            writer.write(block)
            await writer.drain()
            self.sent += len(block)
        await writer.drain()
        return True

    def _breaks_off(self) -> bool:
        return self.breaks_off_after is not None and self.breaks_off_times != 0
