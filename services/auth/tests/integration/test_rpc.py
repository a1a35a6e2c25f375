"""Auth over gRPC, as the other services use it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from fastapi import Request

from kit.auth import client as auth_client
from kit.auth.authentication import Authenticator
from kit.auth.client import authenticator, follow_revocations, revocations
from kit.errors import ApiError
from kit.ids import new_id
from kit.rpc import call, probe
from marquee.auth.v1 import auth_pb2
from marquee.auth.v1.auth_pb2_grpc import AuthServiceStub
from services.auth.service import COMMIT_MARGIN
from services.auth.tests.support import ADMIN, PASSWORD, Auth, Clock, StartAuth, basic

if TYPE_CHECKING:
    from marquee.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub


def a_request(headers: dict[str, str], address: str = "9.9.9.9") -> Request:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": (address, 1),
    }
    return Request(scope)


class RpcContract:
    """Holds for every database; subclasses say where theirs is."""

    @pytest.fixture
    async def stub(self, auth: Auth) -> AuthServiceAsyncStub:
        return AuthServiceStub(await auth.channel())

    @pytest.fixture
    async def remote(self, auth: Auth) -> Authenticator:
        """What another service knows of its callers."""
        return authenticator(await auth.channel())

    async def test_right_password_returns_account(self, auth: Auth, stub: AuthServiceAsyncStub) -> None:
        registered = (await auth.register("홍길동", name="길동")).json()
        request = auth_pb2.VerifyBasicRequest(login_id="홍길동", password=PASSWORD, client_address="9.9.9.9")
        user = (await call(stub.VerifyBasic, request)).user
        assert (user.id, user.login_id, user.display_name) == (registered["id"], "홍길동", "길동")
        assert (user.role, user.status, user.corporation_id) == ("member", "active", "")
        assert user.created_at.ToJsonString()[:19] == registered["created_at"][:19]

    @pytest.mark.parametrize("login", [ADMIN, "unknown", "no\0body", ""])
    async def test_wrong_password_is_refused_and_recorded(
        self, auth: Auth, stub: AuthServiceAsyncStub, login: str
    ) -> None:
        request = auth_pb2.VerifyBasicRequest(login_id=login, password="wrong", client_address="9.9.9.9")
        with pytest.raises(ApiError, match="AUTH_INVALID_CREDENTIALS"):
            await call(stub.VerifyBasic, request)
        (event,) = await auth.events("auth.login_failed")
        assert event["client_address"] == "9.9.9.9"

    async def test_other_services_authenticate_by_password_and_token(self, auth: Auth, remote: Authenticator) -> None:
        by_password = await remote(a_request(basic(ADMIN, PASSWORD)))
        by_token = await remote(a_request(await auth.bearer()))
        assert by_password.user_id == by_token.user_id
        assert by_password.is_admin
        assert by_token.is_admin
        assert by_token.login_session_id
        assert not by_password.login_session_id

    async def test_other_services_refuse_what_auth_refuses(self, remote: Authenticator) -> None:
        with pytest.raises(ApiError, match="AUTH_INVALID_CREDENTIALS") as caught:
            await remote(a_request(basic(ADMIN, "wrong")))
        assert [each.split()[0] for each in caught.value.challenges] == ["Bearer", "Basic"]
        with pytest.raises(ApiError, match="AUTH_INVALID_TOKEN"):
            await remote(a_request({"Authorization": "Bearer x"}))

    async def test_failed_attempts_are_limited_by_the_callers_address(self, auth: Auth, remote: Authenticator) -> None:
        for number in range(auth.settings.login_attempts):
            with pytest.raises(ApiError, match="AUTH_INVALID_CREDENTIALS"):
                await remote(a_request(basic(ADMIN, f"wrong-{number}")))
        with pytest.raises(ApiError, match="AUTH_RATE_LIMITED"):
            await remote(a_request(basic(ADMIN, PASSWORD)))
        assert (await remote(a_request(basic(ADMIN, PASSWORD), "8.8.8.8"))).is_admin

    async def test_ended_login_sessions_are_listed(self, auth: Auth, stub: AuthServiceAsyncStub, clock: Clock) -> None:
        bearer = await auth.bearer()
        nothing = await call(stub.ListRevocations, auth_pb2.ListRevocationsRequest())
        assert not nothing.session_ids
        clock.advance(seconds=60)
        assert (await auth.browser().post("/api/auth/logout", headers=bearer)).status_code == 204
        since = auth_pb2.ListRevocationsRequest(since=nothing.as_of)
        (session_id,) = (await call(stub.ListRevocations, since)).session_ids
        claims = jwt.decode(bearer["Authorization"].split()[1], options={"verify_signature": False})
        assert session_id == claims["sid"]
        clock.advance(seconds=5)
        later = await call(stub.ListRevocations, since)
        assert later.session_ids == [session_id]
        assert (await call(stub.ListRevocations, auth_pb2.ListRevocationsRequest())).session_ids == [session_id]
        clock.advance(seconds=COMMIT_MARGIN.total_seconds() + 1)
        again = auth_pb2.ListRevocationsRequest(since=later.as_of)
        assert (await call(stub.ListRevocations, again)).session_ids == [session_id], "it was just being written"
        clock.advance(seconds=auth.settings.access_ttl_sec)
        assert not (await call(stub.ListRevocations, auth_pb2.ListRevocationsRequest())).session_ids
        assert not (await call(stub.ListRevocations, since)).session_ids

    async def test_another_service_refuses_token_of_ended_login_session(
        self, auth: Auth, remote: Authenticator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(auth_client, "REVOCATIONS_SEC", 0.01)
        ask_auth = revocations(await auth.channel())
        following = asyncio.ensure_future(follow_revocations(ask_auth, remote))
        bearer, other = await auth.bearer(), await auth.bearer()
        fields = {b"authorization": bearer["Authorization"].encode()}
        await remote(a_request(bearer))
        assert remote.get_cached(fields)
        await auth.browser().post("/api/auth/logout", headers=bearer)
        async with asyncio.timeout(60):
            while remote.get_cached(fields):  # noqa: ASYNC110 - nothing tells when it is noticed
                await asyncio.sleep(0.01)
        with pytest.raises(ApiError, match="AUTH_INVALID_TOKEN"):
            await remote(a_request(bearer))
        assert (await remote(a_request(other))).is_admin
        following.cancel()

    async def test_several_users_are_returned_at_once(self, auth: Auth, stub: AuthServiceAsyncStub) -> None:
        ids = [(await auth.register(f"user-{number}")).json()["id"] for number in range(3)]
        asked = [ids[2], new_id(), "unknown", "no\0body", ids[0], ids[0]]
        users = (await call(stub.GetUsers, auth_pb2.GetUsersRequest(ids=asked))).users
        assert {user.id: user.login_id for user in users} == {ids[0]: "user-0", ids[2]: "user-2"}
        assert len(users) == 2
        assert not (await call(stub.GetUsers, auth_pb2.GetUsersRequest())).users

    async def test_too_many_users_are_refused(self, stub: AuthServiceAsyncStub) -> None:
        with pytest.raises(ApiError, match="VALIDATION_FAILED"):
            await call(stub.GetUsers, auth_pb2.GetUsersRequest(ids=[new_id() for _ in range(101)]))

    async def test_keys_are_the_same_as_over_http(self, auth: Auth, stub: AuthServiceAsyncStub) -> None:
        document = (await call(stub.GetJwks, auth_pb2.GetJwksRequest())).jwks_json
        assert auth.service.name == "auth"
        response = await auth.client.get("/.well-known/jwks.json")
        assert response.text.replace(" ", "") == document.replace(" ", "")
        assert '"d"' not in document


class TestSqlite(RpcContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestPostgres(RpcContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url


async def test_pending_account_is_refused(start_auth: StartAuth) -> None:
    async with start_auth(registration="approval") as auth:
        await auth.register("alice")
        remote = authenticator(await auth.channel())
        with pytest.raises(ApiError, match="AUTH_USER_PENDING"):
            await remote(a_request(basic("alice", PASSWORD)))


async def test_health_service_answers(auth: Auth) -> None:
    channel = await auth.channel()
    assert await probe(channel, "nothing") is None
