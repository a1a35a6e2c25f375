"""Authentication of requests for bytes: as everywhere and, on the URLs of its video, by a ticket."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import Request

from kit.auth.authentication import Authenticate
from kit.auth.client import Revocations
from kit.auth.tokens import Caller
from kit.errors import ApiError, ErrorCode
from services.stream.domain import Source
from services.stream.sessions.tickets import Ticket, Tickets

TICKET = "ticket"
"""The query parameter."""
MEDIA = re.compile(r"/api/videos/([^/]+)/(?:stream(?:/info)?|lsv)")
"""The paths that take it."""


class StreamAuthenticator:
    """Authenticate the callers of stream: a ticket is accepted on media URLs only, and comes before all else there.

    Args:
        accounts: authenticates callers without a ticket.
        tickets: verifies tickets.
    """

    def __init__(self, accounts: Authenticate, tickets: Tickets) -> None:
        self.accounts = accounts
        self.tickets = tickets

    async def __call__(self, request: Request) -> Caller:
        """Return the caller of a request.

        Raises:
            ApiError: what `accounts` and `Tickets.verify` raise; AUTH_INVALID_TOKEN for a ticket of another video.
        """
        media = MEDIA.fullmatch(request.scope["path"])
        text = request.query_params.get(TICKET)
        if media is None or text is None or request.method not in {"GET", "HEAD"}:
            return await self.accounts(request)
        ticket = self.tickets.verify(text)
        if ticket.video_id != media[1]:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        request.state.ticket = ticket
        return ticket.caller

    def get_cached(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Return the caller of a safe request with these header fields, from memory; None means a cache miss."""
        return self.accounts.get_cached(fields)

    def revoke(self, revoked: Revocations) -> None:
        """Refuse the tickets of login sessions that were ended, and of accounts that changed."""
        for login_session_id in revoked.login_session_ids:
            self.tickets.revoke(login_session_id)
        for user_id, version in revoked.accounts.items():
            self.tickets.revoke_account(user_id, version)


def ticket_of(request: Request, source: Source) -> Ticket | None:
    """Return the ticket that a request was authenticated with, if it was by one.

    Raises:
        ApiError: AUTH_INVALID_TOKEN for a ticket that is not good for this asset.
    """
    ticket: Ticket | None = getattr(request.state, "ticket", None)
    if ticket is not None and not ticket.opens(source):
        raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
    return ticket
