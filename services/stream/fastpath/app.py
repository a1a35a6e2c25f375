"""Answer requests for bytes from memory: from the socket to `sendfile` without waiting, I/O or a framework."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.errors import ApiError
from kit.web.errors import error_response
from services.stream.delivery.file_response import EmptyResponse, FileBody, RawHeader
from services.stream.delivery.responses import CONDITIONAL_FIELDS, ResponseAssembler
from services.stream.delivery.transfers import Traffic
from services.stream.fastpath.minimal_route import MinimalRoute
from services.stream.fastpath.range_replay import RangeReplayer
from services.stream.fastpath.request import CachedRequest, FastPathCaches
from services.stream.http.cors import adding_headers

_BODY = frozenset({b"content-length", b"transfer-encoding"})
# Of the headers that other responses carry, the one that means something for bytes that no page renders.
_NOSNIFF = (b"x-content-type-options", b"nosniff")


class FastPathApp:
    """Answer a request for bytes when all that it takes is in memory, and pass on every other one.

    The ordinary route answers what is passed on, and learns from it: a viewer's first request fills the caches that the
    following ones are answered from. The fast path decides nothing on its own and refuses no request.

    What it answers leaves no line in the log and no time in `http_request_seconds`, as it lasts for as long as the
    viewer watches; `Traffic` counts it.

    Args:
        app: the ordinary application.
        minimal_route: its route for bytes, for requests with nothing unusual about them.
        caches: callers, tickets, sessions and files that were met before.
        traffic: counts the responses.
        shared_headers: headers by which pages of other origins may read responses.
    """

    def __init__(
        self,
        app: ASGIApp,
        minimal_route: MinimalRoute,
        *,
        caches: FastPathCaches,
        traffic: Traffic,
        shared_headers: Sequence[RawHeader] = (),
    ) -> None:
        self._app = app
        self._minimal_route = minimal_route
        self._caches = caches
        self._shared = shared_headers
        self._assembler = ResponseAssembler(traffic, (_NOSNIFF, *shared_headers), adds_request_id=True)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        fields: dict[bytes, bytes] = dict(scope["headers"])
        # The ordinary route combines fields that come twice, and receives a body.
        if len(fields) < len(scope["headers"]) or not _BODY.isdisjoint(fields):
            return self._app(scope, receive, send)
        cached = CachedRequest.of(self._caches, scope, fields)
        if cached is None:
            return self._app(scope, receive, send)
        authorized = cached()
        if authorized is not None:
            try:
                response = self._assembler.assemble(authorized, scope["method"], fields)
            except ApiError:
                # The ordinary route answers it, in the caller's language.
                pass
            else:
                if isinstance(response, FileBody) and CONDITIONAL_FIELDS.isdisjoint(fields):
                    response.replay_range = RangeReplayer(cached, self._assembler)
                return _send(response, scope, receive, send)
        return self._minimal_route(cached, scope, receive, adding_headers(self._shared, send) if self._shared else send)


async def _send(response: FileBody | EmptyResponse, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await response(scope, receive, send)
    except ApiError as error:
        # Nothing was sent: the file turned out to be out of reach.
        language = Headers(scope=scope).get("accept-language", "")
        await error_response(error, language)(scope, receive, send)
