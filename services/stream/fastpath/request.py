"""Parse a request for bytes, and look up its caller, file and play session in memory."""

from __future__ import annotations

import re

from starlette.types import Scope

from kit.web.addresses import client_network
from services.stream.delivery.responses import AuthorizedRequest, Fields
from services.stream.http.authentication import StreamAuthenticator
from services.stream.http.play_session_routes import LSV_PATH, STREAM_PATH
from services.stream.service import Streams
from services.stream.sessions import ClientKey, SessionRegistry

_BEFORE, _AFTER = STREAM_PATH.split("{video_id}")
_ID = slice(len(_BEFORE), -len(_AFTER))
_AFTER_OF_PACK = LSV_PATH.removeprefix(_BEFORE + "{video_id}")
_ID_OF_PACK = slice(len(_BEFORE), -len(_AFTER_OF_PACK))
# Either, or both in either order; each once.
_START, _TICKET = rb"start=([0-9]{1,9}(?:\.[0-9]{1,6})?)", rb"ticket=([A-Za-z0-9_.-]{1,1000})"
_QUERY = re.compile(rb"(?:%b(?:&%b)?|%b(?:&%b)?)" % (_START, _TICKET, _TICKET, _START))
_METHODS = frozenset({"GET", "HEAD"})


class FastPathCaches:
    """Where the fast path looks requests up.

    Args:
        authenticator: knows who called before, and tickets that were verified before.
        registry: knows the sessions that this process serves.
        streams: knows which files were opened before.
    """

    __slots__ = ("authenticator", "registry", "streams")

    def __init__(self, authenticator: StreamAuthenticator, registry: SessionRegistry, streams: Streams) -> None:
        self.authenticator = authenticator
        self.registry = registry
        self.streams = streams


class CachedRequest:
    """A parsed request. Calling it looks everything up anew; it waits for nothing, and costs microseconds.

    Args:
        caches: where to look.
        scope: the request.
        fields: its header fields.
        start: the value of `start`, if it has one.
        ticket: the value of `ticket`, if it has one.
    """

    __slots__ = ("_address", "_caches", "_fields", "_get_cached", "_is_get", "_ticket", "start_sec", "video_id")

    route = STREAM_PATH
    """The route that answers what is not in memory."""

    def __init__(
        self, caches: FastPathCaches, scope: Scope, fields: Fields, start: bytes | None, ticket: bytes | None
    ) -> None:
        self._caches = caches
        self._fields = fields
        self._is_get = scope["method"] == "GET"
        client = scope.get("client")
        self._address: str = client_network(client[0]) if client else ""
        self._ticket = ticket
        self.video_id: str = scope["path"][_ID]
        self._get_cached = caches.streams.get_cached
        self.start_sec = float(start) if start else None

    @classmethod
    def of(cls, caches: FastPathCaches, scope: Scope, fields: Fields) -> CachedRequest | None:
        """Return the request, if it is one for bytes and has nothing unusual about it."""
        path: str = scope.get("path", "")
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER)) or scope["method"] not in _METHODS:
            return CachedPackRequest.of_pack(caches, scope, fields)
        if not (video_id := path[_ID]) or "/" in video_id:
            return None
        query = scope["query_string"]
        if not query:
            return cls(caches, scope, fields, None, None)
        match = _QUERY.fullmatch(query)
        return cls(caches, scope, fields, match[1] or match[4], match[2] or match[3]) if match else None

    def __call__(self) -> AuthorizedRequest | None:
        """Look up caller, file and session in memory. None means a cache miss, not a denial."""
        caches, video_id = self._caches, self.video_id
        if self._ticket is None:
            ticket = None
            caller = caches.authenticator.get_cached(self._fields)
        else:
            ticket = caches.authenticator.tickets.get_cached(self._ticket)
            caller = ticket.caller if ticket is not None and ticket.video_id == video_id else None
        if caller is None:
            return None
        representation = self._get_cached(video_id, self.start_sec, caller)
        if representation is None:
            return None
        # A representation that is found without waiting begins at the requested time.
        is_start_applied = None if self.start_sec is None else True
        if ticket is not None:
            if ticket.asset_id and ticket.asset_id != representation.source.asset_id:
                return None
            # The ticket of a session that is over opens nothing: no HEAD either.
            local_session = caches.registry.get_active(ticket.session_id)
        elif not self._is_get:
            return AuthorizedRequest(caller, representation, None, is_start_applied)
        else:
            agent = self._fields.get(b"user-agent", b"")
            client = ClientKey(caller.user_id, video_id, self._address, agent)
            local_session = caches.registry.get_active_of_client(client)
        if local_session is None:
            return None
        return AuthorizedRequest(caller, representation, local_session if self._is_get else None, is_start_applied)


class CachedPackRequest(CachedRequest):
    """The same for the bytes of a protected film, whose tickets name its pack."""

    __slots__ = ()

    route = LSV_PATH

    def __init__(self, caches: FastPathCaches, scope: Scope, fields: Fields, ticket: bytes | None) -> None:
        super().__init__(caches, scope, fields, None, ticket)
        self.video_id = scope["path"][_ID_OF_PACK]
        self._get_cached = caches.streams.get_cached_pack

    @classmethod
    def of_pack(cls, caches: FastPathCaches, scope: Scope, fields: Fields) -> CachedPackRequest | None:
        """Return the request, if it is one for the bytes of a pack and has nothing unusual about it."""
        path: str = scope.get("path", "")
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER_OF_PACK)) or scope["method"] not in _METHODS:
            return None
        if not (video_id := path[_ID_OF_PACK]) or "/" in video_id:
            return None
        query = scope["query_string"]
        match = _QUERY.fullmatch(query)
        if query and (match is None or match[1] or match[4]):
            return None
        return cls(caches, scope, fields, match[3] if match else None)

    def __call__(self) -> AuthorizedRequest | None:
        """See `CachedRequest`."""
        if self._ticket is not None:
            ticket = self._caches.authenticator.tickets.get_cached(self._ticket)
            if ticket is None or not ticket.asset_id:
                return None
        return super().__call__()
