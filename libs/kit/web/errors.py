"""Responses to failed requests: one format for all errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from kit.errors import ApiError, ErrorCode

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class BodyTooLargeError(HTTPException):
    """The request body is above the route's limit. An HTTPException: FastAPI hides others raised by reading."""

    def __init__(self, limit: int) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        self.limit = limit


ERROR_KEY: Final = "marquee.error"
"""Where a request's scope has the error that it was answered with, for the access log."""


class ErrorResponse(JSONResponse):
    """The response for an error; the scope that it is sent for remembers the error."""

    def __init__(self, error: ApiError, accept_language: str) -> None:
        super().__init__(error.body(accept_language), status_code=error.code.http_status, headers=error.headers)
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        scope[ERROR_KEY] = self._error
        await super().__call__(scope, receive, send)


def error_response(error: ApiError, accept_language: str) -> ErrorResponse:
    """Build the response for an error."""
    status = error.code.http_status
    response = ErrorResponse(error, accept_language)
    if status == HTTPStatus.UNAUTHORIZED:
        # Every 401 has a challenge (RFC 9110, 15.5.2), also on routes whose credentials are a body or a ticket.
        for challenge in error.challenges:
            response.headers.append("WWW-Authenticate", challenge)
    return response


async def on_api_error(request: Request, error: Exception) -> Response:
    """Answer with an `ApiError` that a route raised."""
    assert isinstance(error, ApiError)  # noqa: S101 - how Starlette types its handlers
    return error_response(error, request.headers.get("Accept-Language", ""))


_BY_STATUS = {
    404: ErrorCode.CONTENT_NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.REQUEST_TOO_LARGE,
    416: ErrorCode.STREAM_RANGE_INVALID,
}


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer errors of the framework (no route, wrong method, body too large) in the one error format."""
    assert isinstance(error, HTTPException)  # noqa: S101 - how Starlette types its handlers
    code = _BY_STATUS.get(
        error.status_code,
        ErrorCode.VALIDATION_FAILED if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else ErrorCode.INTERNAL,
    )
    details = {"limit_bytes": error.limit} if isinstance(error, BodyTooLargeError) else None
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(allowed_methods(request))
    answer = ApiError(code, details=details, headers=headers)
    return error_response(answer, request.headers.get("Accept-Language", ""))


def allowed_methods(request: Request) -> list[str]:
    """Return all methods that a path has routes for (RFC 9110, 10.2.1); a route itself only knows its own."""
    scope = {"type": "http", "path": request.scope["path"], "root_path": request.scope.get("root_path", "")}
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**scope, "method": method, "headers": []})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]


async def on_validation_error(request: Request, error: Exception) -> Response:
    """Answer a request with invalid parameters or body with VALIDATION_FAILED and the fields at fault."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - how Starlette types its handlers
    fields = [
        {"field": ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]), "problem": str(item["msg"])}
        for item in error.errors()
    ]
    return error_response(
        ApiError(ErrorCode.VALIDATION_FAILED, details={"fields": fields}), request.headers.get("Accept-Language", "")
    )
