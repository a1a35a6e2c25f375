"""What every service but auth needs to know who is calling: keys, Basic checks and ended logins, over gRPC."""

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
from kit.rpc import ask, timestamp
from marquee.auth.v1 import auth_pb2
from marquee.auth.v1.auth_pb2_grpc import AuthServiceStub

log = structlog.get_logger()

REVOCATIONS_SEC = 3.0
"""How often auth is asked for logins that were ended. With the question's own time it stays below five seconds."""


@dataclass(frozen=True, slots=True)
class Revocations:
    """What must not be relied on any more."""

    session_ids: Sequence[str]
    """`sid` claims of logins that were ended."""
    accounts: Mapping[str, int]
    """Accounts that changed, each with the least `ver` claim that still holds."""
    as_of: datetime
    """What to ask from next time."""


ListRevocations = Callable[[datetime | None], Awaitable[Revocations]]
"""Takes the `as_of` of its last answer, or None."""


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
    """Has an authenticator refuse what auth has revoked, at most `REVOCATIONS_SEC` late; runs until cancelled.

    While auth is away nobody can end a login either; what it learns when auth is back goes back to the last answer.
    """
    since: datetime | None = None
    while True:
        try:
            revoked = await ask_auth(since)
            since = revoked.as_of
            for login_session_id in revoked.session_ids:
                authenticator.revoke(login_session_id)
            for user_id, least_version in revoked.accounts.items():
                authenticator.revoke_account(user_id, least_version)
            await authenticator.renew_keys()
        except ApiError as error:
            log.debug("revocations_unknown", code=error.code)
        await asyncio.sleep(REVOCATIONS_SEC)


def revocations(channel: aio.Channel) -> ListRevocations:
    """Asks auth for what was revoked. It raises ApiError when auth doesn't answer."""
    stub = AuthServiceStub(channel)

    async def ask_auth(since: datetime | None) -> Revocations:
        request = auth_pb2.ListRevocationsRequest(since=None if since is None else timestamp(since))
        answer = await ask(stub.ListRevocations, request)
        accounts = {account.user_id: account.claims_version for account in answer.accounts}
        return Revocations(answer.session_ids, accounts, answer.as_of.ToDatetime(UTC))

    return ask_auth
