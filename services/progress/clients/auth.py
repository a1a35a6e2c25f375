"""gRPC client of auth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from grpc import aio

from kit.rpc import call
from marquee.auth.v1 import auth_pb2
from marquee.auth.v1.auth_pb2_grpc import AuthServiceStub


class Accounts(Protocol):
    """Look up accounts."""

    async def logins(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the logins of several users, at most 100, by id; unknown ids are left out.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when auth can't be reached.
        """


class AuthClient:
    """Look up accounts in the auth service."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub = AuthServiceStub(channel)

    async def logins(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the logins of several users, in one call."""
        answer = await call(self._stub.GetUsers, auth_pb2.GetUsersRequest(ids=ids))
        return {user.id: user.login_id for user in answer.users}
