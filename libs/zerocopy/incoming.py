"""Uvicorn's HTTP/1.1 protocol with strict parsing and bounded requests (RFC 9110 and 9112)."""

from __future__ import annotations

import functools
import re
import urllib.parse
from typing import NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from zerocopy.arrivals import Arrivals

MAX_HEAD_BYTES = 64 * 1024
"""Largest head of a request, in bytes; also the most that may come between two pieces of its content."""

LINGER_SEC = 2.0
"""Seconds during which data from a refused client is read and dropped (RFC 9112, section 9.6)."""

LINGER_BYTES = 1024 * 1024
"""Bytes that are read and dropped; the connection of a client that sends more is aborted."""

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]*")
"""Characters of `uri-host [ ":" port ]` (RFC 3986, sections 3.2.2 and 3.2.3)."""


_MAX_KEPT_URL = 512


@functools.lru_cache(maxsize=1024)
def _split(url: bytes) -> tuple[str, bytes, bytes]:
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return urllib.parse.unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


def split_target(url: bytes) -> tuple[str, bytes, bytes]:
    """Return decoded path, raw path and query of a request's target. Cached, as a viewer requests one many times."""
    return _split(url) if len(url) <= _MAX_KEPT_URL else _split.__wrapped__(url)


class Refusal(NamedTuple):
    """The response to a request that is not accepted. The connection ends with it."""

    status: int
    message: str


MALFORMED = Refusal(400, "Invalid HTTP request received.")
BAD_HOST = Refusal(400, "The request must have one valid Host field.")
HEAD_TOO_LARGE = Refusal(431, "The head of the request is too large.")
NO_TUNNELS = Refusal(501, "This server opens no tunnels.")


class RefusedError(Exception):
    """The received data is no acceptable request.

    Args:
        refusal: the response to it.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class IncomingProtocol(HttpToolsProtocol):
    """Read requests, and bound their memory and time.

    - HTTP/1.1 has exactly one `Host` (RFC 9112, section 3.2).
    - A head is at most `MAX_HEAD_BYTES` long (RFC 6585, section 5). Trailers and chunk extensions are dropped.
    - An upgrade offer that is not accepted is ignored (RFC 9110, section 7.8): the content is read, and what follows
      is the next request.
    - A head must be complete `arrival_sec` after its first byte, or after the connection began; content must not pause
      for longer while the application waits for it.
    """

    arrival_sec: float = 30.0
    """Seconds within which a head must arrive, and for which content may pause."""

    arrivals: Arrivals
    is_between_requests = True
    messages_begun = 0
    """Number of messages that began in the data parsed last."""
    lingers_until: float | None = None
    """In the loop's time; set when a refusal was sent, after which nothing else is sent."""

    _running: RequestResponseCycle | None = None
    _is_in_head = False
    _has_progressed = False
    arrived_at = 0.0
    """When the client last sent what is expected of it, in the loop's time."""
    _unsettled_bytes = 0
    """Bytes received since the head began or the last content was received."""
    _data_bytes = 0
    _dropped_bytes = 0
    _refused: Refusal | None = None

    # Called by the parser

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.is_between_requests = False
        self.messages_begun += 1
        self._is_in_head = self._has_progressed = True
        self._unsettled_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Take a piece of content."""
        self._has_progressed = True
        self._unsettled_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request, except one with an upgrade offer, whose content has not been read yet."""
        if self.parser.should_upgrade():
            return
        self.is_between_requests = True
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def check_head(self) -> bool:
        """Check a complete head. Return whether to answer it now: one with an upgrade offer is read again without it.

        Raises:
            RefusedError: it breaks a rule.
        """
        if self.parser.should_upgrade():
            # Either another protocol gets the connection, or the same head is read again without the offer.
            if self.parser.get_method() == b"CONNECT":
                self._refuse_in_parser(NO_TUNNELS)
            return False
        self._is_in_head = False
        self._has_progressed = True
        if self._unsettled_bytes + self._data_bytes > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            self._refuse_in_parser(HEAD_TOO_LARGE)
        self._unsettled_bytes = 0
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) != 1:
            if hosts or self.parser.get_http_version() == "1.1":
                self._refuse_in_parser(BAD_HOST)
        elif _HOST.fullmatch(hosts[0]) is None:
            self._refuse_in_parser(BAD_HOST)
        # Trailers must not become fields of a request that is being answered (RFC 9110, section 6.5.1).
        self.headers = []
        return True

    # For the protocol that sends responses

    def feed(self, data: bytes | memoryview) -> None:
        """Parse received data.

        Raises:
            RefusedError: it is no request, or one that is not accepted.
            httptools.HttpParserUpgrade: the connection belongs to another protocol from now on.
        """
        begins_clean = self.is_between_requests
        self.messages_begun = 0
        self._data_bytes = len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            refusal, self._refused = self._refused, None
            raise RefusedError(refusal or MALFORMED) from error
        if not self.is_between_requests:
            self._account(begins_clean=begins_clean)

    def begin_linger(self, refusal: Refusal) -> None:
        """Answer with a refusal, and end the connection so that the client can read it (RFC 9112, section 9.6)."""
        lines = [STATUS_LINE[refusal.status]]
        lines += [b"%b: %b\r\n" % field for field in self.server_state.default_headers]
        message = refusal.message.encode("ascii")
        lines.append(b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(message))
        lines += [b"connection: close\r\n\r\n", message]
        self.transport.write(b"".join(lines))
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.lingers_until = self.loop.time() + LINGER_SEC
        self.flow.resume_reading()
        self.arrivals.watch(self)

    def drop(self, count: int) -> None:
        """Drop `count` bytes from a refused client; abort its connection after `LINGER_BYTES`."""
        if self.lingers_until is None:
            return
        self._dropped_bytes += count
        if self._dropped_bytes > LINGER_BYTES:
            self.transport.abort()

    def expect_request(self) -> None:
        """Watch a new connection for its first request."""
        self.arrived_at = self.loop.time()
        self.arrivals.watch(self)

    def check_arrival(self, now: float) -> bool:
        """See `Arriving`."""
        if self.transport.is_closing():
            return False
        if self.lingers_until is not None:
            is_overdue = now > self.lingers_until
        elif self.is_between_requests:
            if self.cycle is not None:
                # The request is being answered, or the connection is idle, for which there is another timeout.
                return False
            is_overdue = now - self.arrived_at > self.arrival_sec
        elif self._is_client_excused():
            self.arrived_at = now
            return True
        else:
            is_overdue = now - self.arrived_at > self.arrival_sec
        if is_overdue:
            self.transport.abort()
        return not is_overdue

    def _is_client_excused(self) -> bool:
        """Return whether no data is due now: the server is still busy with the last data, or has not asked for more."""
        running = self._running
        if running is not None and not (running.response_complete or running.more_body):
            return True
        if self._is_in_head:
            return False
        cycle = self.cycle
        is_answering = cycle.response_started and not cycle.response_complete
        return self.flow.read_paused or cycle.waiting_for_100_continue or is_answering

    def _feed(self, data: bytes | memoryview) -> None:
        while len(data):
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if self._should_upgrade():
                    raise
                data = memoryview(data)[offer.args[0] :]
                self._ignore_upgrade()
            else:
                return

    def _ignore_upgrade(self) -> None:
        """Parse the last head once more, without the upgrade offer.

        With an offer the parser would read no content, and take what follows for another protocol's.
        """
        parser = self.parser
        lines = [b"%b %b HTTP/%b\r\n" % (parser.get_method(), self.url, parser.get_http_version().encode())]
        lines += [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        lines.append(b"\r\n")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"".join(lines))

    def _account(self, *, begins_clean: bool) -> None:
        """Record the progress of a request that is not complete yet.

        Raises:
            RefusedError: too many bytes came without any content.
        """
        if self._has_progressed:
            self._has_progressed = False
            self.arrived_at = self.loop.time()
            if self._is_in_head:
                is_alone = begins_clean and self.messages_begun == 1
                self._unsettled_bytes = self._data_bytes if is_alone else self._head_size()
        else:
            self._unsettled_bytes += self._data_bytes
        if self._unsettled_bytes > MAX_HEAD_BYTES:
            raise RefusedError(HEAD_TOO_LARGE)
        self.arrivals.watch(self)

    def _head_size(self) -> int:
        """Return the bytes of the head so far, written in the usual way."""
        line = len("GET  HTTP/1.1\r\n\r\n") + len(self.url)
        return line + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _refuse_in_parser(self, refusal: Refusal) -> None:
        # The parser wraps what a callback raises in an error of its own.
        self._refused = refusal
        raise RefusedError(refusal)
