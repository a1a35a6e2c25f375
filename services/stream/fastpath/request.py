"""What a request for bytes rests on, as far as that is in memory: who asks, for what, and in which session."""

from __future__ import annotations

import re
from typing import NamedTuple

from starlette.types import Scope

from kit.auth.tokens import Caller
from kit.web.addresses import client_network
from services.stream.delivery.representation import Representation
from services.stream.delivery.responses import Fields
from services.stream.http.authentication import StreamAuthenticator
from services.stream.http.play_session_routes import STREAM_PATH
from services.stream.service import Streams
from services.stream.sessions import Client, LocalSession, SessionRegistry

_BEFORE, _AFTER = STREAM_PATH.split("{video_id}")
_ID = slice(len(_BEFORE), -len(_AFTER))
# Either, or both in either order; each once.
_START, _TICKET = rb"start=([0-9]{1,9}(?:\.[0-9]{1,6})?)", rb"ticket=([A-Za-z0-9_.-]{1,1000})"
_QUERY = re.compile(rb"(?:%b(?:&%b)?|%b(?:&%b)?)" % (_START, _TICKET, _TICKET, _START))
_METHODS = frozenset({"GET", "HEAD"})


class AuthorizedRequest(NamedTuple):
    """The answer to a claim."""

    caller: Caller
    shown: Representation
    playing: LocalSession | None
    """None for a HEAD, which needs no session."""


class FastPathCaches:
    """What claims are looked up in.

    Args:
        viewers: knows who called before, and tickets that were shown before.
        register: knows the sessions that go on.
        streams: knows what was opened before.
    """

    __slots__ = ("register", "streams", "viewers")

    def __init__(self, viewers: StreamAuthenticator, register: SessionRegistry, streams: Streams) -> None:
        self.viewers = viewers
        self.register = register
        self.streams = streams


class CachedRequest:
    """A request, taken apart. Calling it looks everything up anew; it waits for nothing, and costs microseconds.

    Args:
        known: where to look.
        scope: the request.
        fields: its header fields.
    """

    __slots__ = ("_address", "_fields", "_is_get", "_known", "_ticket", "start_sec", "video_id")

    def __init__(
        self, known: FastPathCaches, scope: Scope, fields: Fields, start: bytes | None, ticket: bytes | None
    ) -> None:
        self._known = known
        self._fields = fields
        self._is_get = scope["method"] == "GET"
        client = scope.get("client")
        self._address: str = client_network(client[0]) if client else ""
        self._ticket = ticket
        self.video_id: str = scope["path"][_ID]
        self.start_sec = float(start) if start else None

    @classmethod
    def of(cls, known: FastPathCaches, scope: Scope, fields: Fields) -> CachedRequest | None:
        """The claim of a request, if it is one for bytes and has nothing unusual about it."""
        path: str = scope.get("path", "")
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER)) or scope["method"] not in _METHODS:
            return None
        if not (video_id := path[_ID]) or "/" in video_id:
            return None
        query = scope["query_string"]
        if not query:
            return cls(known, scope, fields, None, None)
        asked = _QUERY.fullmatch(query)
        return cls(known, scope, fields, asked[1] or asked[4], asked[2] or asked[3]) if asked else None

    def __call__(self) -> AuthorizedRequest | None:
        """What it gives; None says nothing."""
        known, video_id = self._known, self.video_id
        if self._ticket is None:
            ticket = None
            caller = known.viewers.known(self._fields)
        else:
            ticket = known.viewers.tickets.known(self._ticket)
            caller = ticket.caller if ticket is not None and ticket.video_id == video_id else None
        if caller is None:
            return None
        shown = known.streams.known(video_id, self.start_sec, caller)
        if shown is None:
            return None
        if ticket is not None:
            if ticket.asset_id and ticket.asset_id != shown.source.asset_id:
                return None
            # Of a session that is over, its ticket opens nothing: no HEAD either.
            playing = known.register.active(ticket.session_id)
        elif not self._is_get:
            return AuthorizedRequest(caller, shown, None)
        else:
            agent = self._fields.get(b"user-agent", b"")
            playing = known.register.client(Client(caller.user_id, video_id, self._address, agent))
        if playing is None:
            return None
        return AuthorizedRequest(caller, shown, playing if self._is_get else None)
