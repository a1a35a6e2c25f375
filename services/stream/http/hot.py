"""The way of nearly every request of a viewer: from the socket to `sendfile` without waiting, I/O or a framework."""

from __future__ import annotations

import re
import time

from fastapi import FastAPI
from prometheus_client import Histogram
from starlette.types import Receive, Scope, Send

from kit.callers import Authenticate
from kit.errors import ApiError
from kit.http import SECURITY_HEADERS
from kit.ids import new_id
from kit.telemetry import HTTP_SECONDS, accept_request_id
from services.stream.http.answers import answer, fields_of
from services.stream.http.routes import STREAM_PATH
from services.stream.sender import Bodiless, FileBody
from services.stream.service import Streams
from services.stream.traffic import Traffic

_BEFORE, _AFTER = STREAM_PATH.split("{video_id}")
_ID = slice(len(_BEFORE), -len(_AFTER))
_BODY = frozenset({b"content-length", b"transfer-encoding"})
_QUERY = re.compile(rb"(?:start=([0-9]{1,9}(?:\.[0-9]{1,6})?))?")
_METHODS = frozenset({"GET", "HEAD"})


class HotPath:
    """Answers a request for bytes when all that it takes is in memory, and passes on every other one.

    What it passes on, the ordinary routes answer, and learn: a viewer's first request fills the caches that the
    following ones are answered from. It decides nothing on its own and refuses nobody.

    Args:
        app: the ordinary application, whose authenticator knows who called before.
        service: the service's name, for metrics.
        streams: knows what was opened before.
        traffic: watches the answers.
    """

    def __init__(self, app: FastAPI, *, service: str, streams: Streams, traffic: Traffic) -> None:
        self._app = app
        self._service = service
        self._streams = streams
        self._traffic = traffic
        self._histograms: dict[tuple[str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        started = time.perf_counter()
        response = self._answer(scope)
        if response is None:
            await self._app(scope, receive, send)
            return
        try:
            await response(scope, receive, send)
        finally:
            self._seconds(scope["method"], response.status).observe(time.perf_counter() - started)

    def _seconds(self, method: str, status: int) -> Histogram:
        known = self._histograms.get((method, status))
        if known is None:
            known = self._histograms[method, status] = HTTP_SECONDS.labels(self._service, method, STREAM_PATH, status)
        return known

    def _answer(self, scope: Scope) -> FileBody | Bodiless | None:
        path: str = scope.get("path", "")
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER)):
            return None
        fields = fields_of(scope["headers"])
        query = scope["query_string"]
        asked = _QUERY.fullmatch(query)
        if scope["method"] not in _METHODS or asked is None or not _BODY.isdisjoint(fields):
            return None
        start_sec = float(asked[1]) if query else None
        authenticate: Authenticate = self._app.state.authenticate
        caller = authenticate.known(fields)
        shown = self._streams.known(path[_ID], start_sec, caller) if caller else None
        if caller is None or shown is None:
            return None
        given = fields.get(b"x-request-id")
        request_id = accept_request_id(given.decode("latin-1")) if given else new_id()
        transfer = self._traffic.transfer(caller.user_id, shown.source.video_id, request_id)
        headers = [*SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
        try:
            return answer(scope["method"], fields, shown, transfer, headers=headers)
        except ApiError:
            return None
