"""The outermost layer of every service: request ids, security headers, limits, access log, metrics."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import cast

import structlog
from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.auth.authentication import caller_or_none, client_address
from kit.errors import ApiError, ErrorCode
from kit.telemetry import HTTP_SECONDS, accept_request_id, continue_trace, service_context
from kit.web.errors import BodyTooLargeError, error_response
from kit.web.limits import LIMIT_HEADER, LIMITED, Limited, RequestLimits

log = structlog.get_logger()

DRAIN_BYTES = 16 << 20
DRAIN_SEC = 5.0
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""What every answer carries, unless it says otherwise itself."""
_QUIET_PATHS = ("/healthz", "/readyz", "/metrics")


class RequestMiddleware:
    """The outermost ASGI middleware: it never buffers, so it costs a stream nothing."""

    def __init__(self, app: ASGIApp, service: str, max_body_bytes: Callable[[Scope], int | None]) -> None:
        self._app = app
        self._service = service
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = {key: value.decode("latin-1") for key, value in scope["headers"] if key in _TRACE_HEADERS}
        request_id = accept_request_id(given.get(b"x-request-id", ""))
        exchange = _Exchange(scope, receive, send, request_id, self._max_body_bytes(scope))
        with service_context(
            self._service, request_id=request_id, traceparent=continue_trace(given.get(b"traceparent", ""))
        ):
            try:
                if (refusal := await _refusal_by_limit(scope, exchange)) is not None:
                    await refusal(scope, exchange.receive, exchange.send)
                    return
                await self._app(scope, exchange.receive, exchange.send)
            except Exception:
                # Here and not in a handler of the app: that one would answer outside of this middleware.
                log.exception("request_crashed", path=scope["path"])
                if exchange.status:
                    # The answer has begun; only a broken connection tells the client that it is not whole.
                    raise
                language = Headers(scope=scope).get("Accept-Language", "")
                await error_response(ApiError(ErrorCode.INTERNAL), language)(scope, exchange.receive, exchange.send)
            finally:
                self._report(exchange)

    def _report(self, exchange: _Exchange) -> None:
        scope = exchange.scope
        seconds = time.perf_counter() - exchange.started
        route = getattr(scope.get("route"), "path", "unmatched")
        HTTP_SECONDS.labels(self._service, scope["method"], route, str(exchange.status)).observe(seconds)
        if scope["path"] in _QUIET_PATHS:
            return
        caller = scope.get("state", {}).get("caller")
        log.info(
            "http_request",
            method=scope["method"],
            path=scope["path"],
            status=exchange.status,
            bytes=exchange.bytes_sent,
            duration_ms=round(seconds * 1000, 1),
            user_id=caller.user_id if caller else None,
            client=scope["client"][0] if scope.get("client") else None,
        )


_TRACE_HEADERS = frozenset({b"x-request-id", b"traceparent"})


async def _refusal_by_limit(scope: Scope, exchange: _Exchange) -> Response | None:
    """Count a request that the gateway left to be counted; return the answer to one that is not taken.

    Who calls is found out here, before routing: a public route doesn't ask, and would let made-up credentials through.
    """
    app: FastAPI | None = scope.get("app")
    limits: RequestLimits | None = getattr(app.state, "limits", None) if app is not None else None
    if app is None or limits is None:
        return None
    # Ours comes last where a client sent one, too.
    limited = next((value for name, value in reversed(scope["headers"]) if name == LIMIT_HEADER), b"").decode("latin-1")
    if limited not in LIMITED:
        return None
    request = Request(scope)
    caller = await caller_or_none(request) if app.state.authenticate else None
    address = client_address(request)
    if caller is None:
        verdict = limits.count_refused(cast("Limited", limited), address)
    else:
        verdict = limits.count_verified(cast("Limited", limited), caller, address)
    if verdict.is_taken:
        exchange.headers = verdict.headers
        return None
    log.warning("http_rate_limited", client=address, path=scope["path"], limit=verdict.headers["RateLimit"])
    refusal = ApiError(ErrorCode.RATE_LIMITED, headers=verdict.headers)
    return error_response(refusal, request.headers.get("Accept-Language", ""))


class _Exchange:
    """One request and its answer, watched as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str, limit: int | None) -> None:
        self.scope = scope
        self.started = time.perf_counter()
        self.status = 0
        self.bytes_sent = 0
        self.headers: Mapping[str, str] = {}
        """What the answer tells besides."""
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._limit = limit
        self._received = 0
        self._more_to_receive = scope["method"] not in ("GET", "HEAD")

    async def receive(self) -> Message:
        message = await self._receive()
        self._more_to_receive = message["type"] == "http.request" and message.get("more_body", False)
        if self._limit is not None and message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._limit:
                raise BodyTooLargeError(self._limit)
        return message

    async def _drain(self) -> None:
        """Takes in the rest of a body that was refused before it was read.

        A client that is still sending when the answer comes often never sees the answer, only a broken connection.
        Bounded: who sends far more than this is cut off. Who asked first (`Expect: 100-continue`) sends nothing.
        """
        if any(name == b"expect" for name, _ in self.scope["headers"]):
            return
        left = DRAIN_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SEC):
                while self._more_to_receive and left > 0:
                    message = await self._receive()
                    self._more_to_receive = message["type"] == "http.request" and message.get("more_body", False)
                    left -= len(message.get("body", b""))

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._more_to_receive and self.status >= HTTPStatus.BAD_REQUEST:
                await self._drain()
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            headers.update(self.headers)
            for name, value in SECURITY_HEADERS:
                headers.setdefault(name.decode(), value.decode())
            headers.setdefault("Cache-Control", "no-store")
        elif message["type"] == "http.response.body":
            self.bytes_sent += len(message.get("body", b""))
        elif message["type"] == "http.response.zerocopysend":
            message = {**message, "sent": partial(self._count, message.get("sent"))}
        await self._send(message)

    def _count(self, tell: Callable[[int], None] | None, count: int) -> None:
        self.bytes_sent += count
        if tell:
            tell(count)
