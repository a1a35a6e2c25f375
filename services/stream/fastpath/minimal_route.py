"""The ordinary answer to a request for bytes, with no framework around it.

A film begins with one such request a viewer: whatever the framework does for each of them, a rush waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from fastapi import Request
from starlette.types import Receive, Scope, Send

from kit.errors import ApiError
from kit.web.errors import error_response
from kit.web.middleware import RequestMiddleware
from services.stream.fastpath.request import CachedRequest
from services.stream.http.authentication import StreamAuthenticator
from services.stream.http.media_routes import MediaRoutes
from services.stream.http.play_session_routes import STREAM_PATH


@dataclass(frozen=True, slots=True)
class _Route:
    """What metrics call the route."""

    path: str


_ROUTE = _Route(STREAM_PATH)


class MinimalRoute:
    """Calls `MediaRoutes.stream` as the framework would: after authentication, and with errors in the one format.

    Args:
        service: its name in logs and metrics.
        media: the route.
        viewers: authenticates.
    """

    def __init__(self, service: str, media: MediaRoutes, viewers: StreamAuthenticator) -> None:
        self._service = service
        self._media = media
        self._viewers = viewers

    async def __call__(self, claim: CachedRequest, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that is nothing but its claim."""
        scope["route"] = _ROUTE
        await RequestMiddleware(partial(self._answer, claim), self._service, _no_body)(scope, receive, send)

    async def _answer(self, claim: CachedRequest, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            request.state.caller = caller = await self._viewers(request)
            response = await self._media.stream(claim.video_id, request, caller, claim.start_sec)
            await response(scope, receive, send)
        except ApiError as error:
            # Also from sending: the file may turn out to be out of reach before its first byte.
            await error_response(error, request.headers.get("accept-language", ""))(scope, receive, send)


def _no_body(_scope: Scope) -> int:
    return 0
