"""Client of auth for the authentication in all other services: keys, Basic checks and revocations, over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from grpc import aio

from kit.auth.authentication import Authenticator
from kit.auth.tokens import Caller, TokenVerifier
from kit.errors import ApiError
from kit.rpc import call, timestamp
from marquee.auth.v1 import auth_pb2
from marquee.auth.v1.auth_pb2_grpc import AuthServiceStub

log = structlog.get_logger()

REVOCATIONS_SEC = 3.0
"""Interval at which revocations are fetched from auth. With the call's own time it stays below five seconds."""


@dataclass(frozen=True, slots=True)
class Revocations:
    """Logins and rights that have ended."""

    login_session_ids: Sequence[str]
    """`sid` claims of ended login sessions."""
    accounts: Mapping[str, int]
    """Changed accounts, each with the least `ver` claim that is still valid."""
    as_of: datetime
    """`since` of the next call."""


ListRevocations = Callable[[datetime | None], Awaitable[Revocations]]
"""Takes the `as_of` of its last result, or None."""


def authenticator(channel: aio.Channel) -> Authenticator:
    """Return an authenticator that calls auth, through `channel`, for what it can't decide in this process."""
    stub = AuthServiceStub(channel)

    async def fetch_jwks() -> str:
        return (await call(stub.GetJwks, auth_pb2.GetJwksRequest())).jwks_json

    async def verify_basic(login: str, password: str, client: str) -> Caller:
        request = auth_pb2.VerifyBasicRequest(login_id=login, password=password, client_address=client)
        # A password hash takes long on purpose, and longer while others log in too.
        user = (await call(stub.VerifyBasic, request, deadline_sec=10)).user
        return Caller(user_id=user.id, role=user.role, status=user.status, corporation_id=user.corporation_id)

    return Authenticator(TokenVerifier(fetch_jwks), verify_basic)


async def follow_revocations(ask_auth: ListRevocations, authenticator: Authenticator) -> None:
    """Pass what auth has revoked to an authenticator, at most `REVOCATIONS_SEC` late; run until cancelled.

    While auth is away no login can be ended either; the first result after that covers the time since the last one.
    """
    since: datetime | None = None
    while True:
        try:
            revoked = await ask_auth(since)
            since = revoked.as_of
            for login_session_id in revoked.login_session_ids:
                authenticator.revoke(login_session_id)
            for user_id, least_version in revoked.accounts.items():
                authenticator.revoke_account(user_id, least_version)
            await authenticator.renew_keys()
        except ApiError as error:
            log.debug("revocations_unknown", code=error.code)
        await asyncio.sleep(REVOCATIONS_SEC)


def revocations(channel: aio.Channel) -> ListRevocations:
    """Return a function that fetches revocations from auth. It raises ApiError when auth does not answer."""
    stub = AuthServiceStub(channel)

    async def ask_auth(since: datetime | None) -> Revocations:
        request = auth_pb2.ListRevocationsRequest(since=None if since is None else timestamp(since))
        answer = await call(stub.ListRevocations, request)
        accounts = {account.user_id: account.claims_version for account in answer.accounts}
        return Revocations(answer.session_ids, accounts, answer.as_of.ToDatetime(UTC))

    return ask_auth
