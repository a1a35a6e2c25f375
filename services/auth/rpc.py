"""gRPC API of auth: translates calls into calls of use cases."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from grpc import aio

from kit.errors import ApiError, ErrorCode
from kit.rpc import timestamp
from marquee.auth.v1 import auth_pb2, auth_pb2_grpc
from services.auth.domain import effective_plan
from services.auth.models import Corporation, User
from services.auth.service import Accounts, Corporations, Logins

MAX_IDS = 100
Context = aio.ServicerContext[Any, Any]


class AuthServicer(auth_pb2_grpc.AuthServiceServicer):
    """Answer calls of other services."""

    def __init__(self, accounts: Accounts, logins: Logins, corporations: Corporations) -> None:
        self._accounts = accounts
        self._logins = logins
        self._corporations = corporations

    async def GetJwks(self, request: auth_pb2.GetJwksRequest, context: Context) -> auth_pb2.GetJwksResponse:  # noqa: ARG002, N802
        """Return the public keys that verify access tokens."""
        return auth_pb2.GetJwksResponse(jwks_json=json.dumps(self._logins.jwks()))

    async def VerifyBasic(  # noqa: N802
        self,
        request: auth_pb2.VerifyBasicRequest,
        context: Context,  # noqa: ARG002
    ) -> auth_pb2.VerifyBasicResponse:
        """Check Basic credentials."""
        user = await self._logins.verify(request.login_id, request.password, request.client_address)
        return auth_pb2.VerifyBasicResponse(user=_message(user))

    async def GetUsers(self, request: auth_pb2.GetUsersRequest, context: Context) -> auth_pb2.GetUsersResponse:  # noqa: ARG002, N802
        """Return logins, names and rights of several users."""
        if len(request.ids) > MAX_IDS:
            raise ApiError(ErrorCode.VALIDATION_FAILED, f"at most {MAX_IDS} ids")
        users = await self._accounts.by_ids(request.ids)
        return auth_pb2.GetUsersResponse(users=[_message(user) for user in users])

    async def GetCorporations(  # noqa: N802
        self,
        request: auth_pb2.GetCorporationsRequest,
        context: Context,  # noqa: ARG002
    ) -> auth_pb2.GetCorporationsResponse:
        """Return several corporations with the plans in effect now."""
        if len(request.ids) > MAX_IDS:
            raise ApiError(ErrorCode.VALIDATION_FAILED, f"at most {MAX_IDS} ids")
        found = await self._corporations.by_ids(request.ids)
        now = self._corporations.now()
        return auth_pb2.GetCorporationsResponse(corporations=[_corporation(each, now) for each in found])

    async def ListRevocations(  # noqa: N802
        self,
        request: auth_pb2.ListRevocationsRequest,
        context: Context,  # noqa: ARG002
    ) -> auth_pb2.ListRevocationsResponse:
        """Return login sessions that ended and accounts whose rights changed."""
        since = request.since.ToDatetime(UTC) if request.HasField("since") else None
        revoked = await self._logins.revocations(since)
        return auth_pb2.ListRevocationsResponse(
            session_ids=revoked.login_session_ids,
            as_of=timestamp(revoked.as_of),
            accounts=[
                auth_pb2.ChangedAccount(user_id=user_id, claims_version=version)
                for user_id, version in revoked.accounts.items()
            ],
        )


def register(servicer: AuthServicer, server: aio.Server) -> None:
    """Add the servicer to a server."""
    auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, server)


def _message(user: User) -> auth_pb2.User:
    return auth_pb2.User(
        id=user.id,
        login_id=user.login_id,
        display_name=user.display_name,
        role=user.role,
        status=user.status,
        corporation_id=user.corporation_id or "",
        created_at=timestamp(user.created_at),
    )


def _corporation(corporation: Corporation, now: datetime) -> auth_pb2.Corporation:
    plan = effective_plan(corporation.plan, corporation.plan_expires_at, now)
    ends = corporation.plan_expires_at if plan == "paid" else None
    return auth_pb2.Corporation(
        id=corporation.id,
        name=corporation.name,
        plan=plan,
        plan_expires_at=None if ends is None else timestamp(ends),
    )
