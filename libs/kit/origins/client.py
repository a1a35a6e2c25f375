"""A small HTTP client for files on other machines: one request, a streamed response, and strict limits."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Final
from weakref import WeakValueDictionary

import httpcore
from prometheus_client import Counter

from kit.media import InvalidReferenceError
from kit.origins.errors import OriginBlockedError, OriginError, OriginInterruptedError, OriginUnusableError
from kit.origins.guard import Guard, GuardedNetwork, Resolve, Resolver
from kit.origins.references import Url

MAX_REDIRECTS: Final = 3
PER_ORIGIN: Final = 256
"""Concurrent requests to one origin: an origin that hangs does not delay requests to others."""
KEEP_IDLE: Final = 64
KEEP_IDLE_SEC: Final = 30.0
REQUESTS: Final = Counter("origin_requests_total", "Requests to other machines for files.", ["outcome"])
BYTES: Final = Counter("origin_bytes_total", "Bytes of files that came from other machines.")
SLOWEST_BYTES_A_SEC: Final = 4096
"""Far below any film's bit rate. A slower body is given up: it would occupy its reader for ever."""
SLOWEST_SENT_BYTES_A_SEC: Final = 65_536
"""The body of a request may take so much longer than one without."""
_SENT_BLOCK: Final = 256 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WITH_BODY: Final = frozenset({"POST", "PUT"})
_USER_AGENT: Final = b"Marquee"

# At level debug they log addresses, with the secrets in them.
for _talker in ("httpcore.connection", "httpcore.http11", "httpcore.proxy"):
    logging.getLogger(_talker).setLevel(logging.WARNING)


@cache
def _tls(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and those of `SSL_CERT_FILE`, as a private one's are given.

    Reading them takes a tenth of a second: clients share it.
    """
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class OriginResponse:
    """Status and header of a response; the body is read on demand."""

    status: int
    fields: Mapping[str, str]
    """Header fields by lower-case name. Values of a repeated field are joined, which makes it malformed."""
    body: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class OriginRequest:
    """What is sent to an origin."""

    method: str
    url: Url
    fields: Mapping[str, str]
    """Further header fields."""
    content: bytes | bytearray = b""
    """The body; it must not change until it is sent."""


class OriginClient:
    """Requests files from origins, and sends them there.

    Args:
        guard: decides which machines are permitted; None for an endpoint that the operator named.
        timeout_sec: seconds for connecting and a response's headers, redirects included, and again for the waits of a
            body beyond what it takes at `SLOWEST_BYTES_A_SEC`.
        resolve: resolves host names; the system does by default.
        only_probes: files are opened, not read: small buffers keep origins from sending much that is never read.
    """

    def __init__(
        self, guard: Guard | None, timeout_sec: float, resolve: Resolve | None = None, *, only_probes: bool = False
    ) -> None:
        self._timeout_sec = timeout_sec
        self._resolver = Resolver()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_tls(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
            # Bounded for each origin, below: one that hangs must not use up the connections of others.
            max_connections=None,
            max_keepalive_connections=KEEP_IDLE,
            keepalive_expiry=KEEP_IDLE_SEC,
            network_backend=GuardedNetwork(guard, resolve or self._resolver, small_buffers=only_probes),
        )
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def get(
        self, url: Url, fields: Mapping[str, str], *, redirects: int = MAX_REDIRECTS
    ) -> AsyncIterator[OriginResponse]:
        """Send a GET. The connection is reused when the block ends, or closed when the body was not read.

        Args:
            url: address of the file.
            fields: header fields of the request.
            redirects: redirects to follow at most; each is checked like the first address.

        Raises:
            OriginBlockedError: this machine is not permitted, or a redirect leads to one, or from https to http.
            OriginInterruptedError: it is unreachable or too slow.
            OriginUnusableError: it does not speak HTTP, or redirects too often.
        """
        async with self.send(OriginRequest("GET", url, fields), redirects=redirects) as answer:
            yield answer

    @asynccontextmanager
    async def send(self, request: OriginRequest, *, redirects: int = 0) -> AsyncIterator[OriginResponse]:
        """Send a request; raise what `get` raises.

        Args:
            request: the request. Its body may take the time that `SLOWEST_SENT_BYTES_A_SEC` gives, in addition.
            redirects: redirects to follow at most.
        """
        host = request.url.host
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._timeout_sec + len(request.content) / SLOWEST_SENT_BYTES_A_SEC):
                    answer = await self._follow(request, redirects, stack)
            except TimeoutError as error:
                REQUESTS.labels(OriginInterruptedError.outcome).inc()
                raise OriginInterruptedError(f"{host} does not answer in time") from error
            except OriginError as error:
                REQUESTS.labels(error.outcome).inc()
                raise
            REQUESTS.labels(str(answer.status)).inc()
            yield answer

    async def _follow(self, request: OriginRequest, redirects: int, stack: AsyncExitStack) -> OriginResponse:
        url = request.url
        for left in range(redirects, -1, -1):
            attempt = await stack.enter_async_context(AsyncExitStack())
            answer = await self._ask(replace(request, url=url), attempt)
            if answer.status not in _REDIRECTS:
                return answer
            if not left:
                break
            try:
                target = url.joined(answer.fields.get("location", ""))
            except InvalidReferenceError as error:
                raise OriginBlockedError(f"{url.host} redirects to what may not be asked") from error
            if url.scheme == "https" and target.scheme != "https":
                raise OriginBlockedError(f"{url.host} redirects from https to http")
            url = target
            await attempt.aclose()
        raise OriginUnusableError(f"{url.host} redirects too often")

    async def _ask(self, sent: OriginRequest, stack: AsyncExitStack) -> OriginResponse:
        url = sent.url
        turn = self._turns.setdefault(url.authority, asyncio.Semaphore(PER_ORIGIN))
        await stack.enter_async_context(turn)
        headers = [
            (b"Host", url.authority.encode()),
            (b"User-Agent", _USER_AGENT),
            (b"Accept", b"*/*"),
            # Ranges are of the file's own bytes (RFC 9110, 14.2), not of a compressed form of them.
            (b"Accept-Encoding", b"identity"),
            *((name.encode(), value.encode("latin-1")) for name, value in sent.fields.items()),
        ]
        if sent.content or sent.method in _WITH_BODY:
            headers.append((b"Content-Length", str(len(sent.content)).encode()))
        request = httpcore.Request(
            sent.method.encode(),
            httpcore.URL(scheme=url.scheme.encode(), host=url.host.encode(), port=url.port, target=url.target.encode()),
            headers=headers,
            content=_blocks(sent.content) if sent.content else None,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_sec)},
        )
        with _translate_errors(url.host):
            response = await self._pool.handle_async_request(request)
        stack.push_async_callback(response.aclose)
        found: dict[str, str] = {}
        for raw_name, raw_value in response.headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
            found[name] = f"{found[name]}, {value}" if name in found else value
        return OriginResponse(response.status, found, _body(response, url.host, self._timeout_sec))

    async def close(self) -> None:
        """Close all connections, also busy ones."""
        await self._pool.aclose()
        self._resolver.close()


async def _blocks(content: bytes | bytearray) -> AsyncIterator[bytes]:
    """Yield a body in blocks, so that each has the timeout of a write to itself."""
    view = memoryview(content)
    for start in range(0, len(content), _SENT_BLOCK):
        yield bytes(view[start : start + _SENT_BLOCK])


async def _body(response: httpcore.Response, host: str, timeout_sec: float) -> AsyncIterator[bytes]:
    """Yield the blocks of a body.

    A read's own timeout starts again with each byte, so the sum of the waits is bounded, too. Pauses of the reader are
    not counted.
    """
    blocks = response.aiter_stream()
    left_sec = timeout_sec
    while True:
        started_at = time.monotonic()
        try:
            with _translate_errors(host):
                async with asyncio.timeout(left_sec):
                    block = await anext(blocks, None)
        except TimeoutError as error:
            raise OriginInterruptedError(f"{host} sends too slowly") from error
        if block is None:
            return
        left_sec += len(block) / SLOWEST_BYTES_A_SEC - (time.monotonic() - started_at)
        left_sec = min(left_sec, timeout_sec)
        BYTES.inc(len(block))
        yield block


class _translate_errors:  # noqa: N801 - a context manager used like a function
    """Raise the library's errors as `OriginError`."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OriginError | TimeoutError):
            return
        if isinstance(error, httpcore.ConnectTimeout | httpcore.ReadTimeout | httpcore.WriteTimeout):
            raise OriginInterruptedError(f"{self._host} does not answer in time") from error
        if isinstance(error, httpcore.NetworkError | httpcore.RemoteProtocolError | OSError):
            raise OriginInterruptedError(f"{self._host} broke off: {error}") from error
        if isinstance(error, httpcore.UnsupportedProtocol | httpcore.LocalProtocolError):
            raise OriginUnusableError(f"{self._host} can't be asked: {error}") from error
