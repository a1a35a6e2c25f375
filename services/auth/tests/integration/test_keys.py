"""The published keys, and the health of the service."""

from __future__ import annotations

from kit.auth.tokens import TokenVerifier
from services.auth.tests.support import ADMIN, Auth, StartAuth


class TestKeys:
    async def test_published_keys_verify_and_are_not_private(self, auth: Auth) -> None:
        token = (await auth.log_in()).json()["access_token"]
        answer = await auth.client.get("/.well-known/jwks.json")
        (key,) = answer.json()["keys"]
        assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}

        async def fetch() -> str:
            return answer.text

        caller = await TokenVerifier(fetch).verify(token)
        assert (caller.role, caller.status) == ("admin", "active")

    async def test_replicas_with_one_key_file_verify_each_others_tokens(self, start_auth: StartAuth) -> None:
        async with start_auth() as one, start_auth() as other:
            answer = await other.client.get("/api/users/me", headers=await one.bearer())
            assert answer.json()["login_id"] == ADMIN
            token = (await one.log_in()).json()["refresh_token"]
            assert (await one.refresh(token)).json()["refresh_token"] == (await other.refresh(token)).json()[
                "refresh_token"
            ]


async def test_health_names_the_dependencies(auth: Auth) -> None:
    answer = await auth.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": True, "disk": True, "broker": True}
