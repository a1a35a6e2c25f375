"""What every service but auth needs to know who is calling: keys and Basic checks from auth, over gRPC."""

from __future__ import annotations

from grpc import aio

from kit.callers import Authenticator
from kit.rpc import ask
from kit.tokens import Caller, TokenVerifier
from marquee.auth.v1 import auth_pb2
from marquee.auth.v1.auth_pb2_grpc import AuthServiceStub


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
