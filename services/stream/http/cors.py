"""What pages of another origin may read of media URLs (Fetch Standard, 3.2), where bytes have an address of their own.

A ticket is all that such a page can bring, and it is in the URL: cookies are never accepted across origins, so that any
origin may ask. What has no ticket is refused as everywhere.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.stream.delivery.file_response import RawHeader
from services.stream.http.play_session_routes import STREAM_PATH

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
    """What answers carry where bytes have an address of their own; refusals, too, or a page could not tell why."""
    return _SHARED if public_url else ()


def preflight_router() -> APIRouter:
    """Answers preflights of media URLs; they come without credentials."""
    router = APIRouter()

    @router.options(STREAM_PATH, status_code=204, include_in_schema=False)
    async def preflight(video_id: str) -> Response:
        del video_id
        return Response(status_code=204, headers=_PREFLIGHT)

    return router
