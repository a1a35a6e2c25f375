"""The way of nearly every request of a viewer: from the socket to `sendfile` without waiting, I/O or a framework."""

from __future__ import annotations

import re
from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from kit.callers import Authenticate
from kit.errors import ApiError
from kit.ids import new_id
from kit.telemetry import accept_request_id
from services.stream.http.again import NOSNIFF, Again
from services.stream.http.answers import answer, is_conditional
from services.stream.http.routes import STREAM_PATH
from services.stream.sender import Bodiless, FileBody
from services.stream.service import Streams
from services.stream.traffic import Traffic

_BEFORE, _AFTER = STREAM_PATH.split("{video_id}")
_ID = slice(len(_BEFORE), -len(_AFTER))
_BODY = frozenset({b"content-length", b"transfer-encoding"})
_QUERY = re.compile(rb"start=([0-9]{1,9}(?:\.[0-9]{1,6})?)")
_METHODS = frozenset({"GET", "HEAD"})


class HotPath:
    """Answers a request for bytes when all that it takes is in memory, and passes on every other one.

    What it passes on, the ordinary routes answer, and learn: a viewer's first request fills the caches that the
    following ones are answered from. It decides nothing on its own and refuses nobody.

    What it answers leaves no line in the log and no time in `http_request_seconds`, as it lasts for as long as the
    viewer watches; `traffic` counts it.

    Args:
        app: the ordinary application.
        authenticate: knows who called before.
        streams: knows what was opened before.
        traffic: watches the answers.
    """

    def __init__(self, app: ASGIApp, *, authenticate: Authenticate, streams: Streams, traffic: Traffic) -> None:
        self._app = app
        self.authenticate = authenticate
        self._streams = streams
        self._traffic = traffic

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answers one request."""
        response = self._answer(scope) or self._app
        return response(scope, receive, send)

    def _answer(self, scope: Scope) -> FileBody | Bodiless | None:
        path: str = scope.get("path", "")
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER)) or scope["method"] not in _METHODS:
            return None
        fields: dict[bytes, bytes] = dict(scope["headers"])
        # A field that comes twice needs more thought, and a body is to be taken in.
        if len(fields) < len(scope["headers"]) or not _BODY.isdisjoint(fields):
            return None
        start_sec = None
        if query := scope["query_string"]:
            if (asked := _QUERY.fullmatch(query)) is None:
                return None
            start_sec = float(asked[1])
        caller = self.authenticate.known(fields)
        shown = self._streams.known(path[_ID], start_sec, caller) if caller else None
        if caller is None or shown is None:
            return None
        given = fields.get(b"x-request-id")
        request_id = accept_request_id(given.decode("latin-1")) if given else new_id()
        transfer = self._traffic.transfer(caller.user_id, shown.source.video_id, request_id)
        headers = (NOSNIFF, (b"x-request-id", request_id.encode()))
        try:
            response = answer(scope["method"], fields, shown, transfer, headers=headers)
        except ApiError:
            return None
        if isinstance(response, FileBody) and start_sec is None and not given and not is_conditional(fields):
            response.again = Again(
                fields,
                path[_ID],
                authenticate=self.authenticate,
                streams=self._streams,
                traffic=self._traffic,
            )
        return response
