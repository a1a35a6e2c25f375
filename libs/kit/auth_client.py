"""What every service but auth needs to know who is calling: keys, Basic checks and ended logins, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import structlog
from grpc import aio

from kit.callers import Authenticator
from kit.errors import ApiError
from kit.rpc import ask, timestamp
from kit.tokens import Caller, TokenVerifier
from marquee.auth.v1 import auth_pb2
from marquee.auth.v1.auth_pb2_grpc import AuthServiceStub

log = structlog.get_logger()

REVOCATIONS_SEC = 5.0
"""How often auth is asked for logins that were ended."""

ListRevocations = Callable[[datetime | None], Awaitable[tuple[Sequence[str], datetime]]]
"""Takes what it answered last, or None; gives the ids of ended logins and the time up to which they are known."""


def authenticator(channel: aio.Channel) -> Authenticator:
    """An authenticator that asks auth, through `channel`, for what it can't decide here."""
    stub = AuthServiceStub(channel)

    async def fetch_jwks() -> str:
        return (await ask(stub.GetJwks, auth_pb2.GetJwksRequest())).jwks_json

    async def verify_basic(login: str, password: str, client: str) -> Caller:
        request = auth_pb2.VerifyBasicRequest(login_id=login, password=password, client_address=client)
        # A password hash takes long on purpose, and longer while others log in too.
        user = (await ask(stub.VerifyBasic, request, deadline_sec=10)).user
        return Caller(user_id=user.id, role=user.role, status=user.status, corporation_id=user.corporation_id)

    return Authenticator(TokenVerifier(fetch_jwks), verify_basic)


async def follow_revocations(ask_auth: ListRevocations, authenticator: Authenticator) -> None:
    """Has an authenticator refuse the tokens of ended logins, at most `REVOCATIONS_SEC` late; runs until cancelled.

    While auth is away nobody can end a login either; what it learns when auth is back goes back to the last answer.
    """
    since: datetime | None = None
    while True:
        try:
            session_ids, since = await ask_auth(since)
        except ApiError as error:
            log.debug("revocations_unknown", code=error.code)
        else:
            for session_id in session_ids:
                authenticator.revoke(session_id)
        await asyncio.sleep(REVOCATIONS_SEC)


def revocations(channel: aio.Channel) -> ListRevocations:
    """Asks auth for ended logins. It raises ApiError when auth doesn't answer."""
    stub = AuthServiceStub(channel)

    async def ask_auth(since: datetime | None) -> tuple[Sequence[str], datetime]:
        request = auth_pb2.ListRevocationsRequest(since=None if since is None else timestamp(since))
        answer = await ask(stub.ListRevocations, request)
        return answer.session_ids, answer.as_of.ToDatetime(UTC)

    return ask_auth
