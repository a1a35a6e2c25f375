"""Call the ordinary route for bytes without the framework.

The first request of each viewer takes this route: in a rush, all wait for what the framework does for each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from fastapi import Request
from starlette.types import Receive, Scope, Send

from kit.errors import ApiError
from kit.web.errors import error_response
from kit.web.middleware import RequestMiddleware
from services.stream.fastpath.request import CachedPackRequest, CachedRequest
from services.stream.http.authentication import StreamAuthenticator
from services.stream.http.media_routes import MediaRoutes
from services.stream.http.play_session_routes import LSV_PATH, STREAM_PATH


@dataclass(frozen=True, slots=True)
class _Route:
    """The route's name in metrics."""

    path: str


_ROUTES = {path: _Route(path) for path in (STREAM_PATH, LSV_PATH)}


class MinimalRoute:
    """Call `MediaRoutes.stream` or `pack` as the framework would: after authentication, errors in the one format.

    Args:
        service: its name in logs and metrics.
        media: the route.
        authenticator: finds out who is calling.
    """

    def __init__(self, service: str, media: MediaRoutes, authenticator: StreamAuthenticator) -> None:
        self._service = service
        self._media = media
        self._authenticator = authenticator

    async def __call__(self, cached: CachedRequest, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose path, query and fields are all that matters."""
        scope["route"] = _ROUTES[cached.route]
        await RequestMiddleware(partial(self._answer, cached), self._service, _no_body)(scope, receive, send)

    async def _answer(self, cached: CachedRequest, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            request.state.caller = caller = await self._authenticator(request)
            if isinstance(cached, CachedPackRequest):
                response = await self._media.pack(cached.video_id, request, caller)
            else:
                response = await self._media.stream(cached.video_id, request, caller, cached.start_sec)
            await response(scope, receive, send)
        except ApiError as error:
            # Also from sending: the file may turn out to be out of reach before its first byte.
            await error_response(error, request.headers.get("accept-language", ""))(scope, receive, send)


def _no_body(_scope: Scope) -> int:
    return 0
