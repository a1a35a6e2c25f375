"""Uvicorn's HTTP/1.1 protocol with the extension `http.response.zerocopysend`."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
from contextvars import Context, copy_context
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from zerocopy.cycle import ZeroCopyCycle
from zerocopy.incoming import IncomingProtocol, Refusal, RefusedError, split_target
from zerocopy.messages import EXTENSION, RangeAnswer
from zerocopy.repeat import MAX_REQUEST_BYTES, Answerer, RecentRequests
from zerocopy.sender import ClientGoneError, Sender
from zerocopy.shared import Shared

_MAPPED = "::ffff:"
"""Prefix of IPv4 addresses on IPv6 sockets (RFC 4291, section 2.5.5.2)."""


class ZeroCopyProtocol(IncomingProtocol, asyncio.BufferedProtocol):
    """Serve HTTP/1.1, and send parts of files with `os.sendfile` where an application asks for that.

    Use it as `uvicorn.Config(app, http=ZeroCopyProtocol)`. The extension is offered on plain connections only: what
    TLS encrypts has to pass through memory.

    Other differences from uvicorn's protocol:

    - The application is notified that the client has disconnected, also when the client had sent more requests.
    - Data received while a part of a file is being sent is held back; its refusal never gets into an unfinished body.
    - Requests are read as described in `IncomingProtocol`.
    - A client that has closed its sending side still gets complete responses to all complete requests.
    - An application takes its first step at once, and a request needs no timer.
    - A request that differs from one of the last only in its range is answered without a parser, if the application
      offers that (`again`).
    """

    stall_sec: float | None = 90.0
    """Seconds without a byte sent after which a connection that sends a part of a file is aborted; None: never."""

    offers_zero_copy = False
    """Whether parts of files can be sent into this connection."""

    _shared: Shared
    _first: tuple[ZeroCopyCycle, Any] | None = None
    _sender: Sender | None = None
    _held = b""
    _recent: RecentRequests | None = None
    _repeating: RangeAnswer | None = None
    _is_half_closed = False
    _writes_seen = 0
    _is_leaving = False
    _refusal: Refusal | None = None
    _idle_since: float | None = None

    # Called by the event loop

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Set up an accepted connection."""
        super().connection_made(transport)
        self._shared = Shared.of(self.server_state, self.loop, self.stall_sec, self.arrival_sec)
        self.arrivals = self._shared.arrivals
        if self.client and self.client[0].startswith(_MAPPED):
            # An IPv4 client on a dual-stack socket: limits and trusted proxies are defined by its IPv4 address.
            self.client = self.client[0].removeprefix(_MAPPED), self.client[1]
        # The application then waits until every message is sent, and a part of a file never overtakes one.
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        self.offers_zero_copy = hasattr(os, "sendfile") and sock is not None and self.scheme == "http"
        if self.offers_zero_copy and sock.family in {socket.AF_INET, socket.AF_INET6}:
            # Otherwise the end of a response may wait for the client's acknowledgement of its beginning.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything that belongs to the connection."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self._close_sender()
        self._held = b""
        self.arrivals.forget(self)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop always passes "any"
        """Return the buffer that the loop receives into."""
        return self._shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Process data in the receive buffer."""
        self.data_received(self._shared.buffer[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Process received data, or hold it back while a part of a file is being sent."""
        if self._refusal is not None:
            self.drop(len(data))
            return
        if self._held or self._repeating is not None or self.is_sending:
            self._held += data
            self.flow.pause_reading()
            return
        received = b""
        if self.is_between_requests and len(data) <= MAX_REQUEST_BYTES:
            received = bytes(data)
            if self._recent is not None and self._answer_repetition(self._recent, received):
                return
        self._parse(data, received)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Record that the client sends nothing more. Return whether the connection stays open for responses."""
        if self.lingers_until is not None:
            return False
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        running = self._running
        is_answering = running is not None and not running.response_complete
        if running is not None and is_answering and running.more_body:
            # The request will never be complete; a part of a file that was found for it may still be sent.
            is_answering = isinstance(running, ZeroCopyCycle) and running.has_parts
        if self._held or self._repeating is not None or is_answering:
            # A client that is gone, and has not only finished sending, answers the bytes of the response with a reset.
            self._is_half_closed = True
            self.expect_request()
        return self._is_half_closed

    # Called by the parser

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._idle_since = None
        if self.offers_zero_copy:
            self.scope["extensions"] = {EXTENSION: {}}

    def on_headers_complete(self) -> None:
        """Start to answer a request whose headers are complete, or queue it behind those before it."""
        parser = self.parser
        scope = self.scope
        http_version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        if not self.check_head():
            return
        if http_version != "1.1":
            scope["http_version"] = http_version
        path, raw_path, scope["query_string"] = split_target(self.url)
        if self.root_path:
            path, raw_path = self.root_path + path, self.root_path.encode("ascii") + raw_path
        scope["path"] = path
        scope["raw_path"] = raw_path
        app, limit = self.app, self.limit_concurrency
        if limit is not None and (len(self.connections) >= limit or len(self.tasks) >= limit):
            app = service_unavailable
            self.logger.warning("Exceeded concurrency limit.")
        self.cycle = cycle = ZeroCopyCycle(
            self,
            scope,
            keep_alive=http_version != "1.0" and parser.should_keep_alive() and not self._is_leaving,
            expect_100_continue=self.expect_100_continue,
        )
        if self._first is None and (self._running is None or self._running.response_complete):
            self._first = cycle, app
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to another protocol."""
        self._close_sender()
        self.arrivals.forget(self)
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade()

    # Called by the server

    def shutdown(self) -> None:
        """Answer the requests that were received, and then close the connection: the server is about to end."""
        self._is_leaving = True
        newest = cast("RequestResponseCycle | None", self.cycle)
        if newest is not None and not newest.response_started:
            newest.keep_alive = False
        self._close_if_over()

    def check_arrival(self, now: float) -> bool:
        """Also abort a connection without progress: its client sends no more, and the application waits for it."""
        running = self._running
        if not self._is_half_closed or not isinstance(running, ZeroCopyCycle) or running.response_complete:
            return super().check_arrival(now)
        is_waiting = running.awaits_client and not (self.is_sending or self.flow.write_paused)
        if not is_waiting or running.writes != self._writes_seen:
            self._writes_seen = running.writes
            self.arrived_at = now
        elif now - self.arrived_at > self.arrival_sec:
            self.transport.abort()
        return not self.transport.is_closing()

    # Called by the cycle that is answering

    @property
    def sender(self) -> Sender:
        """The sender of parts of files into this connection, created for the first one."""
        if self._sender is None:
            self._sender = Sender(self.loop, self.transport, self._shared.slow)
        return self._sender

    @property
    def is_sending(self) -> bool:
        """Whether a part of a file is being sent."""
        return self._sender is not None and self._sender.is_busy

    def stop_sending(self) -> None:
        """Clean up after a part of a file that had to wait, and process what was received meanwhile."""
        if self._sender is not None:
            self._sender.stop()
        if self._held:
            # Not at once: parsing it may start the next request.
            self.loop.call_soon(self._take_held)

    def remember(self, request: bytes, again: Answerer, tracing: frozenset[bytes]) -> None:
        """Remember to answer the request that was just answered by `again` when it comes with another range."""
        # A server that logs each request, or counts them against a limit, has to process each one.
        is_logged = self.access_log and self.access_logger.isEnabledFor(logging.INFO)
        if request and not is_logged and self.limit_concurrency is None:
            self._recent = self._recent or RecentRequests()
            self._recent.add(request, again, tracing)

    def on_response_complete(self) -> None:
        """Start the next request, or wait for one: a response has been passed to the transport."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            # Reading resumes when these are answered, or when their application asks for more.
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._end_with(self._refusal)
        else:
            self._close_if_over()
            if not self._held:
                self.flow.resume_reading()
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._set_keep_alive_timer(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for `timeout_keep_alive`, or set the timer again."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._set_keep_alive_timer(left)
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        """Refuse received data, after the responses to what was received before."""
        self.logger.warning(refusal.message)
        running = self._running
        if running is None or running.response_complete:
            self._end_with(refusal)
            return
        if running.more_body:
            # The data belongs to the request that is being answered.
            if running.response_started:
                self.transport.close()
                return
            running.disconnected = True
            running.message_event.set()
            self._end_with(refusal)
            return
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        # What is still received is read and dropped. Left unread, it would make the kernel reset the connection, and
        # the client could lose what it has not read yet (RFC 9112, 9.6).
        self._refusal = refusal

    def _end_with(self, refusal: Refusal) -> None:
        self._refusal = refusal
        self._idle_since = None
        self.begin_linger(refusal)
        if self._is_half_closed:
            self.transport.close()

    def _parse(self, data: bytes | memoryview, received: bytes) -> None:
        """Parse received data, and start the application on a request that is complete now.

        Args:
            data: the received data.
            received: the same, if it may be a whole request; otherwise empty.
        """
        refusal = None
        try:
            self.feed(data)
        except RefusedError as error:
            refusal = error.refusal
        except httptools.HttpParserUpgrade:
            self.handle_websocket_upgrade()
            return
        if self._first is not None:
            cycle, app = self._first
            self._first = None
            if self.messages_begun == 1 and self.is_between_requests:
                cycle.received = received
            self._start_now(cycle, app)
        if refusal is not None:
            self._refuse(refusal)

    def _answer_repetition(self, recent: RecentRequests, received: bytes) -> bool:
        """Answer one of the last requests for another range. Return False if this is none or can't be answered."""
        running = self._running
        is_busy = (running is not None and not running.response_complete) or self.pipeline or self.flow.write_paused
        if is_busy or self._is_leaving or self.transport.is_closing():
            return False
        try:
            begun = recent.begin(received, self.server_state.default_headers)
        except Exception:
            self.logger.exception("Exception in ASGI application\n")
            self._recent = begun = None
        if begun is None:
            return False
        answer, part, keeps_alive = begun
        try:
            waiter = self.sender.send(part, answer.sent, answer.residency)
        except (ClientGoneError, OSError) as error:
            if isinstance(error, OSError) and not part.has_started:
                # Nothing is written yet: the application can respond with an error.
                self._recent = None
                return False
            self._break_repetition(answer)
            return True
        self._idle_since = None
        if waiter is None:
            self._end_repetition(answer, keeps_alive=keeps_alive)
        else:
            self._repeating = answer
            answer.waits(self.transport.abort)
            waiter.add_done_callback(functools.partial(self._repetition_waited, answer, keeps_alive=keeps_alive))
        return True

    def _repetition_waited(self, answer: RangeAnswer, waiter: asyncio.Future[None], *, keeps_alive: bool) -> None:
        self._repeating = None
        if waiter.cancelled() or waiter.exception() is not None:
            self._break_repetition(answer)
            return
        self._end_repetition(answer, keeps_alive=keeps_alive)
        if self._held:
            self._take_held()

    def _end_repetition(self, answer: RangeAnswer, *, keeps_alive: bool) -> None:
        answer.end(completed=True)
        if not keeps_alive:
            self.transport.close()
        self.on_response_complete()

    def _break_repetition(self, answer: RangeAnswer) -> None:
        """Abort the connection before the promised length, by which the client recognises the failure (RFC 9112, 8)."""
        answer.end(completed=False)
        self.transport.abort()

    def _start_now(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        context = Context() if self.config.reset_contextvars else copy_context()
        task = self._shared.starter.start(cycle.run_asgi(app), context)
        if task is not None:
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _set_keep_alive_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _close_sender(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def _take_held(self) -> None:
        held, self._held = self._held, b""
        if held and not self.transport.is_closing():
            self.flow.resume_reading()
            self.data_received(held)
            self._close_if_over()

    def _close_if_over(self) -> None:
        """Close the connection if it takes no more requests and all received ones are answered."""
        is_over = (self._is_half_closed or self._is_leaving) and not self._held and self._repeating is None
        if is_over and (self._running is None or self._running.response_complete):
            self.transport.close()
