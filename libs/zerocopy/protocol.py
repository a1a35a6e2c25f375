"""Uvicorn's HTTP/1.1 protocol with the extension `http.response.zerocopysend`."""

from __future__ import annotations

import asyncio
import os
import socket
import urllib.parse
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from zerocopy.cycle import ZeroCopyCycle
from zerocopy.messages import EXTENSION
from zerocopy.sender import Sender

NOTSENT_BYTES = 128 * 1024
"""What a connection's kernel buffer may hold beyond what is on its way: a slow reader's memory."""


class ZeroCopyProtocol(HttpToolsProtocol):
    """Serves HTTP/1.1, and sends parts of files with `os.sendfile` where an application asks for that.

    Use it as `uvicorn.Config(app, http=ZeroCopyProtocol)`. The extension is offered on plain connections only: what
    TLS encrypts has to pass through memory.

    Beyond the extension it differs from uvicorn's protocol where parts of files would make its ways felt:
    - the application that is answering learns that the client has left, also when the client had sent more requests;
    - what the client sends meanwhile waits, and a refusal of it never gets into an unfinished body;
    - a client that has closed its sending side still gets a body with parts of files whole.
    """

    stall_sec: float | None = 90.0
    """A connection whose part of a file has moved no byte for so many seconds is aborted; None is never."""

    offers_zero_copy = False
    _running: RequestResponseCycle | None = None
    _sender: Sender | None = None
    _held = b""
    _half_closed = False
    _refusal = ""

    # Called by the event loop

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection has been accepted."""
        super().connection_made(transport)
        # The application then waits for room after every message, and a part of a file never overtakes one.
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        self.offers_zero_copy = hasattr(os, "sendfile") and sock is not None and self.scheme == "http"
        if self.offers_zero_copy and sock.family in {socket.AF_INET, socket.AF_INET6}:
            # Responses are written in few, large pieces; held back, the last would wait for an acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self._close_sender()
        self._held = b""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """The client has sent something."""
        if self._refusal:
            return
        if self._held or (self._sender is not None and self._sender.busy):
            self._held += data
            self.flow.pause_reading()
            return
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. Whether the connection stays open for an answer."""
        if isinstance(self._running, ZeroCopyCycle) and self._running.has_parts and not self._running.response_complete:
            # Bytes keep flowing: a client that is gone, and not only done, answers them with a reset.
            self._half_closed = True
        return self._half_closed

    # Called by the parser

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if self.offers_zero_copy:
            cast("dict[str, Any]", self.scope)["extensions"] = {EXTENSION: {}}

    def on_headers_complete(self) -> None:
        """A request's headers are there: it is answered, or waits for the answers to those before it."""
        http_version = self.parser.get_http_version()
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        if http_version != "1.1":
            scope["http_version"] = http_version
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["path"] = self.root_path + (urllib.parse.unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + url.path
        scope["query_string"] = url.query or b""
        app = self.app
        if self.limit_concurrency is not None and (
            len(self.connections) >= self.limit_concurrency or len(self.tasks) >= self.limit_concurrency
        ):
            app = service_unavailable
            self.logger.warning("Exceeded concurrency limit.")
        previous = cast("RequestResponseCycle | None", self.cycle)
        self.cycle = ZeroCopyCycle(
            self,
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=http_version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if previous is None or previous.response_complete:
            self._start_asgi_task(self.cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection over to another protocol."""
        self._close_sender()
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade()

    # Called by the cycle that is answering

    @property
    def sender(self) -> Sender:
        """Sends parts of files into this connection."""
        if self._sender is None:
            self._sender = Sender(self.loop, self.transport, self.stall_sec)
        return self._sender

    def stop_sending(self) -> None:
        """A part of a file that had to wait has ended."""
        if self._sender is not None:
            self._sender.stop()
        if self._held:
            # Not now: parsing it may start the next request.
            self.loop.call_soon(self._take_held)

    def on_response_complete(self) -> None:
        """A response is in the transport: the next request's turn."""
        super().on_response_complete()
        if self._running is not None and self._running.response_complete and not self.transport.is_closing():
            if self._refusal:
                super().send_400_response(self._refusal)
            elif self._half_closed and not self._held:
                self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuses what the client sent, after the answers to what it had sent before."""
        running = self._running
        if running is None or running.response_complete:
            super().send_400_response(msg)
            return
        if running.more_body:
            # It is the body of the very request that is being answered.
            if running.response_started:
                self.transport.close()
            else:
                super().send_400_response(msg)
            return
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        self._refusal = msg
        self.flow.pause_reading()

    def _close_sender(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def _take_held(self) -> None:
        held, self._held = self._held, b""
        if held and not self.transport.is_closing():
            self.flow.resume_reading()
            self.data_received(held)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)
