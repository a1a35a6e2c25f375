"""The HTTP edge of every service: one error format, request ids, security headers, access log, metrics, OpenAPI."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar, cast

import structlog
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, BeforeValidator, ConfigDict
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.callers import Authenticate, caller_or_none, client_address
from kit.errors import CODES, ApiError
from kit.health import Health
from kit.limits import LIMIT_HEADER, LIMITED, Limited, RequestLimits
from kit.telemetry import HTTP_SECONDS, accept_request_id, collect_metrics, continue_trace, service_context

log = structlog.get_logger()

MAX_JSON_BYTES = 1 << 20
DRAIN_BYTES = 16 << 20
DRAIN_SEC = 5.0
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""What every answer carries, unless it says otherwise itself."""
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_QUIET_PATHS = ("/healthz", "/readyz", "/metrics")
T = TypeVar("T")


class Schema(BaseModel):
    """Base of request bodies: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class View(BaseModel):
    """Base of response bodies."""

    model_config = ConfigDict(from_attributes=True)


class Page(View, Generic[T]):
    """One page of a list."""

    items: list[T]
    page: int
    page_size: int
    total: int


class ErrorDetail(View):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorBody(View):
    """Every error's body."""

    error: ErrorDetail


class Paging(BaseModel):
    """Which page of a list is asked for."""

    page: int
    page_size: int

    @property
    def offset(self) -> int:
        """Items before this page."""
        return (self.page - 1) * self.page_size


_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _refuse_python_numbers(value: object) -> object:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError("must be a number in decimal digits")
    return value


DECIMAL = BeforeValidator(_refuse_python_numbers)
"""For numbers that come as text: digits of ASCII, without the underscores and blanks that Python allows in them."""


def paging(
    page: Annotated[int, DECIMAL, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, DECIMAL, Query(ge=1, le=100)] = 20,
) -> Paging:
    """The paging parameters of a list."""
    return Paging(page=page, page_size=page_size)


def errors(*codes: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for a route that can answer with these codes."""
    answers: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status = CODES[code].http_status
        text = answers.get(status, {}).get("description")
        answers[status] = {"model": ErrorBody, "description": f"{text}, `{code}`" if text else f"`{code}`"}
    return answers


def create_app(
    service: str,
    *,
    title: str,
    health: Health,
    authenticate: Authenticate | None,
    routers: Mapping[str, APIRouter],
    max_body_bytes: Callable[[Scope], int | None] | None = None,
) -> FastAPI:
    """The HTTP application of a service.

    Args:
        service: its name in logs and metrics.
        title: its name in the API documentation.
        health: what `/readyz` reports.
        authenticate: finds the caller of protected routes; None where a service has none.
        routers: its routes, by OpenAPI tag.
        max_body_bytes: the largest request body of a path; None for no limit. One MiB everywhere by default.
    """
    app = FastAPI(
        title=title,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A redirect would be made from the Host header, and would not be in the one error format.
        redirect_slashes=False,
        responses=errors("VALIDATION_FAILED", "AUTH_INVALID_TOKEN", "AUTH_FORBIDDEN"),
    )
    app.state.authenticate = authenticate
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    for tag, router in routers.items():
        app.include_router(router, tags=[tag])
    app.include_router(_operations(health), include_in_schema=False)
    app.add_middleware(Edge, service=service, max_body_bytes=max_body_bytes or (lambda _scope: MAX_JSON_BYTES))
    return app


def _operations(health: Health) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        ready = health.is_ready()
        body = {"status": "ready" if ready else "not ready", "checks": health.states()}
        return JSONResponse(body, status_code=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(collect_metrics(), media_type=CONTENT_TYPE_LATEST)

    return router


def error_response(error: ApiError, accept_language: str) -> JSONResponse:
    """The HTTP form of an error."""
    status = error.entry.http_status
    response = JSONResponse(error.body(accept_language), status_code=status, headers=error.headers)
    if status == HTTPStatus.UNAUTHORIZED:
        # Every 401 has a challenge (RFC 9110, 15.5.2), also of routes that look at no credentials but a body or ticket.
        for challenge in error.challenges:
            response.headers.append("WWW-Authenticate", challenge)
    return response


async def _on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - how Starlette types its handlers
    return error_response(error, request.headers.get("Accept-Language", ""))


_BY_STATUS = {
    404: "CONTENT_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "REQUEST_TOO_LARGE",
    416: "STREAM_RANGE_INVALID",
}


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - how Starlette types its handlers
    code = _BY_STATUS.get(error.status_code, "VALIDATION_FAILED" if error.status_code < 500 else "INTERNAL")  # noqa: PLR2004
    details = {"limit_bytes": error.limit} if isinstance(error, BodyTooLarge) else None
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed_methods(request))
    answer = ApiError(code, details=details, headers=headers)
    return error_response(answer, request.headers.get("Accept-Language", ""))


def allowed_methods(request: Request) -> list[str]:
    """All methods that the path of a request has routes for (RFC 9110, 10.2.1); a route itself knows its own only."""
    asked = {"type": "http", "path": request.scope["path"], "root_path": request.scope.get("root_path", "")}
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**asked, "method": method, "headers": []})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - how Starlette types its handlers
    fields = [
        {"field": ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]), "problem": str(item["msg"])}
        for item in error.errors()
    ]
    return error_response(
        ApiError("VALIDATION_FAILED", details={"fields": fields}), request.headers.get("Accept-Language", "")
    )


class BodyTooLarge(HTTPException):
    """The client sent more than the route takes. Of what reading a body raises, FastAPI passes only its own kind on."""

    def __init__(self, limit: int) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self.limit = limit


class Edge:
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
                await error_response(ApiError("INTERNAL"), language)(scope, exchange.receive, exchange.send)
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
    refusal = ApiError("RATE_LIMITED", headers=verdict.headers)
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
                raise BodyTooLarge(self._limit)
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
