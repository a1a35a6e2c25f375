"""Headers by which pages of other origins may read media URLs (Fetch Standard, 3.2), where those have an own address.

A ticket is all that such a page can bring, and it is in the URL: cookies are never accepted across origins, so that any
origin may ask. A request without a ticket is refused as everywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from fastapi import APIRouter, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.stream.delivery.file_response import RawHeader
from services.stream.http.authentication import MEDIA
from services.stream.http.play_session_routes import LSV_PATH, STREAM_PATH

_EXPOSED = (
    b"Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Last-Modified, Retry-After, "
    b"Start-Applied, X-Request-ID"
)
_PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, X-Request-ID",
    "Access-Control-Max-Age": "7200",
}

_SHARED: tuple[RawHeader, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", _EXPOSED),
)


def shared_headers(public_url: str) -> tuple[RawHeader, ...]:
    """Return the headers of responses where bytes have an address of their own.

    Refusals have them, too: otherwise a page could not read why.
    """
    return _SHARED if public_url else ()


def adding_headers(headers: Sequence[RawHeader], send: Send) -> Send:
    """Return a `send` that adds headers to an answer that does not have them."""

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", ())
            names = {name for name, _ in given}
            message = {**message, "headers": [*given, *(each for each in headers if each[0] not in names)]}
        await send(message)

    return add


class SharedMedia:
    """Add what lets pages of other origins read answers to every answer of a media URL.

    Args:
        app: what answers.
        headers: see `shared_headers`.
    """

    def __init__(self, app: ASGIApp, headers: Sequence[RawHeader]) -> None:
        self._app = app
        self._headers = headers

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        if self._headers and MEDIA.fullmatch(scope.get("path", "")):
            send = adding_headers(self._headers, send)
        return self._app(scope, receive, send)


def preflight_router() -> APIRouter:
    """Return the route that answers preflights of media URLs; they come without credentials."""
    router = APIRouter()

    @router.options(STREAM_PATH, status_code=204, include_in_schema=False)
    @router.options(LSV_PATH, status_code=204, include_in_schema=False)
    async def preflight(video_id: str) -> Response:
        del video_id
        return Response(status_code=204, headers=_PREFLIGHT)

    return router
