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
from kit.web.errors import ERROR_KEY, BodyTooLargeError, error_response
from kit.web.limits import LIMIT_HEADER, LIMITED, Limited, RequestLimits

log = structlog.get_logger()

DRAIN_BYTES = 16 << 20
DRAIN_SEC = 5.0
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Headers of every response that does not set them itself."""
_QUIET_PATHS = ("/healthz", "/readyz", "/metrics")


class RequestMiddleware:
    """The outermost ASGI middleware. It never buffers, so that streams pass unchanged."""

    def __init__(self, app: ASGIApp, service: str, max_body_bytes: Callable[[Scope], int | None]) -> None:
        self._app = app
        self._service = service
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
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
                    # The response has begun; only a broken connection shows the client that it is incomplete.
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
        error: ApiError | None = scope.get(ERROR_KEY)
        log.info(
            "http_request",
            method=scope["method"],
            path=scope["path"],
            status=exchange.status,
            bytes=exchange.bytes_sent,
            duration_ms=round(seconds * 1000, 1),
            user_id=caller.user_id if caller else None,
            client=scope["client"][0] if scope.get("client") else None,
            **(error.log_fields() if error else {}),
        )


_TRACE_HEADERS = frozenset({b"x-request-id", b"traceparent"})


async def _refusal_by_limit(scope: Scope, exchange: _Exchange) -> Response | None:
    """Count a request that the gateway left to the service; return the response when it is over the limit.

    The caller is authenticated here, before routing: a public route does not, and would accept made-up credentials.
    """
    app: FastAPI | None = scope.get("app")
    limits: RequestLimits | None = getattr(app.state, "limits", None) if app is not None else None
    if app is None or limits is None:
        return None
    # The gateway's comes last where a client sent one, too.
    limited = next((value for name, value in reversed(scope["headers"]) if name == LIMIT_HEADER), b"").decode("latin-1")
    if limited not in LIMITED:
        return None
    request = Request(scope)
    caller = await caller_or_none(request) if app.state.authenticate else None
    address = client_address(request)
    if caller is None:
        decision = limits.count_refused(cast("Limited", limited), address)
    else:
        decision = limits.count_verified(cast("Limited", limited), caller, address)
    if decision.is_allowed:
        exchange.headers = decision.headers
        return None
    log.warning("http_rate_limited", client=address, path=scope["path"], limit=decision.headers["RateLimit"])
    refusal = ApiError(ErrorCode.RATE_LIMITED, headers=decision.headers)
    return error_response(refusal, request.headers.get("Accept-Language", ""))


class _Exchange:
    """Counts and completes one request and its response as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str, limit: int | None) -> None:
        self.scope = scope
        self.started = time.perf_counter()
        self.status = 0
        self.bytes_sent = 0
        self.headers: Mapping[str, str] = {}
        """Additional headers of the response."""
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
        """Read and discard the rest of a body that was refused before it was read.

        A client that is still sending when the response arrives often sees only a broken connection. At most
        `DRAIN_BYTES` and `DRAIN_SEC`: longer bodies are cut off. A client that waits for `100 Continue` sends nothing.
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

    def _count(self, report: Callable[[int], None] | None, count: int) -> None:
        self.bytes_sent += count
        if report:
            report(count)
