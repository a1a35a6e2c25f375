"""The way of nearly every request of a viewer: from the socket to `sendfile` without waiting, I/O or a framework."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.errors import ApiError
from kit.ids import new_id
from kit.telemetry import accept_request_id
from kit.web.errors import error_response
from services.stream.delivery.file_response import EmptyResponse, FileBody, RawHeader
from services.stream.delivery.responses import START_APPLIED, answer, is_conditional
from services.stream.delivery.transfers import Traffic
from services.stream.fastpath.minimal_route import MinimalRoute
from services.stream.fastpath.range_replay import NOSNIFF, RangeReplayer
from services.stream.fastpath.request import CachedRequest, FastPathCaches
from services.stream.http.cors import adding_headers

_BODY = frozenset({b"content-length", b"transfer-encoding"})


class FastPathApp:
    """Answers a request for bytes when all that it takes is in memory, and passes on every other one.

    What it passes on, the ordinary route answers, and learns: a viewer's first request fills the caches that the
    following ones are answered from. It decides nothing on its own and refuses nobody.

    What it answers leaves no line in the log and no time in `http_request_seconds`, as it lasts for as long as the
    viewer watches; `traffic` counts it.

    Args:
        app: the ordinary application.
        direct: its route for bytes, for requests with nothing unusual about them.
        known: callers, tickets, sessions and files that were met before.
        traffic: watches the answers.
        shared_headers: what answers carry so that other origins may read them.
    """

    def __init__(
        self,
        app: ASGIApp,
        direct: MinimalRoute,
        *,
        known: FastPathCaches,
        traffic: Traffic,
        shared_headers: Sequence[RawHeader] = (),
    ) -> None:
        self._app = app
        self._direct = direct
        self._known = known
        self._traffic = traffic
        self._shared = shared_headers
        self._headers = (NOSNIFF, *shared_headers)
        # What is found without waiting begins where it was asked to.
        self._begun_headers = (*self._headers, START_APPLIED)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answers one request."""
        fields: dict[bytes, bytes] = dict(scope["headers"])
        claim = self._claim(scope, fields)
        response = self._answer(claim, scope, fields) if claim else None
        if response is not None:
            return _send(response, scope, receive, send)
        if claim is not None:
            return self._direct(claim, scope, receive, adding_headers(self._shared, send) if self._shared else send)
        return self._app(scope, receive, send)

    def _claim(self, scope: Scope, fields: dict[bytes, bytes]) -> CachedRequest | None:
        # A field that comes twice needs more thought, and a body is to be taken in.
        if len(fields) < len(scope["headers"]) or not _BODY.isdisjoint(fields):
            return None
        return CachedRequest.of(self._known, scope, fields)

    def _answer(
        self, claim: CachedRequest, scope: Scope, fields: dict[bytes, bytes]
    ) -> FileBody | EmptyResponse | None:
        granted = claim()
        if granted is None:
            return None
        given = fields.get(b"x-request-id")
        request_id = accept_request_id(given.decode("latin-1")) if given else new_id()
        transfer = self._traffic.transfer(granted.caller.user_id, claim.video_id, request_id, granted.playing)
        common = self._headers if claim.start_sec is None else self._begun_headers
        headers = (*common, (b"x-request-id", request_id.encode()))
        try:
            response = answer(scope["method"], fields, granted.shown, transfer, headers=headers)
        except ApiError:
            return None
        if isinstance(response, FileBody) and not given and not is_conditional(fields):
            response.again = RangeReplayer(claim, traffic=self._traffic, headers=common)
        return response


async def _send(response: FileBody | EmptyResponse, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await response(scope, receive, send)
    except ApiError as error:
        # Nothing was sent: the file turned out to be out of reach.
        language = Headers(scope=scope).get("accept-language", "")
        await error_response(error, language)(scope, receive, send)
