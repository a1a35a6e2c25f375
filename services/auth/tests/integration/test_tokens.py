"""Tokens: what is refused, how OAuth clients get them, how keys are changed, and how fast a change is everywhere."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from kit.auth import client as auth_client
from kit.auth.authentication import Authenticator
from kit.auth.client import authenticator, follow_revocations, revocations
from kit.auth.tokens import TOKEN_TYPE
from kit.web.server import HttpServer, listen
from services.auth.credentials import keys as keys_module
from services.auth.credentials.keys import KeyRing, rotate
from services.auth.http.login import FORM_TYPE
from services.auth.tests.integration.test_rpc import a_request
from services.auth.tests.support import ADMIN, PASSWORD, Auth, StartAuth, basic, problem

NEW = "staple the battery"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def part(value: object) -> str:
    return b64(json.dumps(value).encode())


class Forge:
    """Makes tokens out of a good one: with auth's own key, or without it."""

    def __init__(self, auth: Auth, good: str) -> None:
        self.good = good
        self.key = json.loads(auth.settings.signing_key_file.read_text())["keys"][0]
        self.header = jwt.get_unverified_header(good)
        self.claims: dict[str, Any] = jwt.decode(good, options={"verify_signature": False})

    def signed(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signed by auth's key: wrong in nothing but what is changed."""
        text = f"{part(self.header | (header or {}))}.{part(self.claims | claims)}"
        private = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(self.key["d"] + "=="))
        return f"{text}.{b64(private.sign(text.encode()))}"

    def unsigned(self, algorithm: str) -> str:
        return f"{part(self.header | {'alg': algorithm})}.{part(self.claims)}."

    def by_public_key(self) -> str:
        text = f"{part(self.header | {'alg': 'HS256'})}.{part(self.claims)}"
        return f"{text}.{b64(hmac.digest(self.key['x'].encode(), text.encode(), hashlib.sha256))}"

    def by_another_key(self, **header: Any) -> str:
        text = f"{part(self.header | header)}.{part(self.claims)}"
        return f"{text}.{b64(Ed25519PrivateKey.generate().sign(text.encode()))}"

    def altered(self, **claims: Any) -> str:
        header, _, signature = self.good.split(".")
        return f"{header}.{part(self.claims | claims)}.{signature}"


HOSTILE: dict[str, Callable[[Forge], str]] = {
    "alg=none": lambda forge: forge.unsigned("none"),
    "alg=NONE": lambda forge: forge.unsigned("NONE"),
    "HS256 with the public key": lambda forge: forge.by_public_key(),
    "another key, the same kid": lambda forge: forge.by_another_key(),
    "another key, unknown kid": lambda forge: forge.by_another_key(kid="unknown"),
    "no kid": lambda forge: forge.by_another_key(kid=None),
    "its own key in the header": lambda forge: forge.by_another_key(jwk={"kty": "OKP", "crv": "Ed25519", "x": "AA"}),
    "another type": lambda forge: forge.signed({"typ": "JWT"}),
    "no type": lambda forge: forge.signed({"typ": None}),
    "wrong aud": lambda forge: forge.signed(aud="another"),
    "wrong iss": lambda forge: forge.signed(iss="another"),
    "expired": lambda forge: forge.signed(exp=int(time.time()) - 1),
    "not yet valid": lambda forge: forge.signed(nbf=int(time.time()) + 3600),
    "altered role": lambda forge: forge.altered(role="admin"),
    "altered subject": lambda forge: forge.altered(sub="another-user"),
    "cut short": lambda forge: forge.good[:-2],
    "very long": lambda forge: forge.signed(padding="x" * 8_000),
    "no token": lambda _forge: "x",
    "empty": lambda _forge: "",
}


class TestHostileTokens:
    @pytest.fixture
    async def forge(self, auth: Auth) -> Forge:
        return Forge(auth, (await auth.log_in()).json()["access_token"])

    async def test_forge_makes_valid_tokens(self, auth: Auth, forge: Forge) -> None:
        assert forge.header["typ"] == TOKEN_TYPE
        answer = await auth.client.get("/api/users/me", headers={"Authorization": f"Bearer {forge.signed()}"})
        assert answer.status_code == 200

    async def test_all_forgeries_get_same_error(self, auth: Auth, forge: Forge) -> None:
        bodies: dict[str, set[bytes]] = {"AUTH_INVALID_TOKEN": set(), "AUTH_TOKEN_EXPIRED": set()}
        with capture_logs() as logs:
            for name, make in HOSTILE.items():
                headers = {"Authorization": f"Bearer {make(forge)}"}
                answer = await auth.client.get("/api/users/me", headers=headers)
                assert answer.status_code == 401, name
                assert "Traceback" not in answer.text
                # Only a token that was good may learn more than that it is not: that it has expired.
                code = "AUTH_TOKEN_EXPIRED" if name == "expired" else "AUTH_INVALID_TOKEN"
                assert json.loads(answer.content)["error"]["code"] == code, name
                bodies[code].add(answer.content)
        assert [len(each) for each in bodies.values()] == [1, 1]
        assert not [entry for entry in logs if entry["log_level"] in ("warning", "error")]


class OAuthContract:
    """Holds for every database; subclasses say where theirs is."""

    async def ask(self, auth: Auth, **form: str) -> httpx.Response:
        return await auth.client.post("/api/auth/token", data=form)

    async def test_password_grant_returns_tokens(self, auth: Auth) -> None:
        answer = await self.ask(auth, grant_type="password", username=ADMIN, password=PASSWORD, scope="")
        body = answer.json()
        assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
        assert body["token_type"] == "Bearer"
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        assert (await auth.client.get("/api/users/me", headers=headers)).json()["login_id"] == ADMIN
        renewed = await self.ask(auth, grant_type="refresh_token", refresh_token=body["refresh_token"])
        assert renewed.json()["refresh_token"] != body["refresh_token"]

    async def test_wrong_credentials_are_refused_and_counted(self, auth: Auth) -> None:
        for _ in range(auth.settings.login_attempts):
            answer = await self.ask(auth, grant_type="password", username=ADMIN, password="wrong")
            assert problem(answer) == (401, "AUTH_INVALID_CREDENTIALS")
        answer = await self.ask(auth, grant_type="password", username=ADMIN, password=PASSWORD)
        assert problem(answer) == (429, "AUTH_RATE_LIMITED")
        answer = await self.ask(auth, grant_type="refresh_token", refresh_token="x")
        assert problem(answer) == (401, "AUTH_INVALID_TOKEN")

    @pytest.mark.parametrize(
        ("content", "type_", "field"),
        [
            (b"", FORM_TYPE, "grant_type"),
            (b"grant_type=code", FORM_TYPE, "grant_type"),
            (b"grant_type=password", FORM_TYPE, "login_id"),
            (b"grant_type=password&username=a", FORM_TYPE, "password"),
            (b"grant_type=password&grant_type=password", FORM_TYPE, "body"),
            (b"&".join(b"a=%d" % number for number in range(20)), FORM_TYPE, "body"),
            (b"username=%ff", FORM_TYPE, "body"),
            (b"\xff", FORM_TYPE, "body"),
            (b'{"grant_type": "password"}', "application/json", "body"),
            (
                b"grant_type=password&username=a&password=" + b"x" * 1025,
                FORM_TYPE,
                "password",
            ),
            (
                b"grant_type=refresh_token&refresh_token=" + b"x" * 300,
                FORM_TYPE,
                "refresh_token",
            ),
        ],
    )
    async def test_malformed_fields_are_named(self, auth: Auth, content: bytes, type_: str, field: str) -> None:
        answer = await auth.client.post("/api/auth/token", content=content, headers={"Content-Type": type_})
        assert problem(answer) == (422, "VALIDATION_FAILED")
        assert [item["field"] for item in answer.json()["error"]["details"]["fields"]] == [field]

    async def test_openapi_describes_the_token_endpoint(self, auth: Auth) -> None:
        document = auth.service.app.openapi()
        flow = document["components"]["securitySchemes"]["password"]["flows"]["password"]
        assert flow["tokenUrl"] in document["paths"]
        assert {"password": []} in document["paths"]["/api/users/me"]["get"]["security"]


class TestOAuthSqlite(OAuthContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestOAuthPostgres(OAuthContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url


class TestRotation:
    """Keys change while people are logged in."""

    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """New keys sign at once, and files are looked at often."""
        monkeypatch.setattr(keys_module, "LEAD_SEC", 0)
        monkeypatch.setattr(keys_module, "RELOAD_SEC", 0.01)

    async def until_signed_by(self, auth: Auth, kid: str) -> str:
        """A refresh token of a login that was begun after a replica has read the file."""
        async with asyncio.timeout(60):
            while True:
                tokens = (await auth.log_in()).json()
                if jwt.get_unverified_header(tokens["access_token"])["kid"] == kid:
                    return str(tokens["refresh_token"])

    async def test_rotation_keeps_login_sessions(self, start_auth: StartAuth) -> None:
        async with start_auth() as one, start_auth() as other:
            elsewhere = authenticator(await other.channel())
            tokens = [(await one.log_in()).json() for _ in range(4)]
            await elsewhere(a_request({"Authorization": f"Bearer {tokens[0]['access_token']}"}))
            # The answer to this one is lost, and asked for again after the rotation.
            lost = (await one.refresh(tokens[0]["refresh_token"])).json()["refresh_token"]
            kids = [rotate(one.settings.signing_key_file).kid for _ in range(3)]
            for replica in (one, other):
                await self.until_signed_by(replica, kids[-1])
            for pair in tokens:
                caller = await elsewhere(a_request({"Authorization": f"Bearer {pair['access_token']}"}))
                assert caller.is_admin
            assert (await other.refresh(tokens[0]["refresh_token"])).json()["refresh_token"] == lost
            for pair in tokens[1:]:
                assert (await other.refresh(pair["refresh_token"])).status_code == 200
            published = (await other.client.get("/.well-known/jwks.json")).json()["keys"]
            assert [key["kid"] for key in published][:3] == kids[::-1]
            assert len(published) == 4

    async def test_tokens_of_leaked_key_are_refused_and_login_sessions_continue(
        self, start_auth: StartAuth, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(auth_client, "REVOCATIONS_SEC", 0.01)
        monkeypatch.setattr("kit.auth.tokens._RENEW_SEC", 0.0)
        async with start_auth() as auth:
            channel = await auth.channel()
            elsewhere = authenticator(channel)
            following = asyncio.ensure_future(follow_revocations(revocations(channel), elsewhere))
            tokens = (await auth.log_in()).json()
            stolen = {b"authorization": f"Bearer {tokens['access_token']}".encode()}
            await elsewhere(a_request({"Authorization": f"Bearer {tokens['access_token']}"}))
            assert elsewhere.get_cached(stolen)
            done = rotate(auth.settings.signing_key_file, compromised=True)
            assert len(done.removed) == 1
            await self.until_signed_by(auth, done.kid)
            async with asyncio.timeout(60):
                while elsewhere.get_cached(stolen):  # noqa: ASYNC110 - nothing tells when it is noticed
                    await asyncio.sleep(0.01)
            assert (await auth.refresh(tokens["refresh_token"])).status_code == 200
            following.cancel()

    async def test_broken_key_file_keeps_current_keys(self, start_auth: StartAuth) -> None:
        async with start_auth() as auth:
            ring = KeyRing(auth.settings.signing_key_file)
            before = ring.current.jwks()
            for content in ("", "{}", '{"keys": []}'):
                auth.settings.signing_key_file.write_text(content)
                with capture_logs() as logs:
                    ring.reload_if_changed()
                assert [entry["event"] for entry in logs] == ["signing_keys_unusable"]
                assert ring.current.jwks() == before
            auth.settings.signing_key_file.unlink()
            ring.reload_if_changed()
            assert ring.current.jwks() == before
            assert (await auth.log_in()).status_code == 200


class RevocationContract:
    """Another replica, or service, stops believing what is not true any more."""

    @pytest.fixture
    async def elsewhere(self, auth: Auth, monkeypatch: pytest.MonkeyPatch) -> Authenticator:
        """What another service believes; it asks often, so that tests need not wait."""
        monkeypatch.setattr(auth_client, "REVOCATIONS_SEC", 0.01)
        channel = await auth.channel()
        elsewhere = authenticator(channel)
        following = asyncio.ensure_future(follow_revocations(revocations(channel), elsewhere))
        auth.service.resources.callback(following.cancel)
        return elsewhere

    async def until_forgotten(self, elsewhere: Authenticator, *credentials: str) -> None:
        async with asyncio.timeout(60):
            for each in credentials:
                while elsewhere.get_cached({b"authorization": each.encode()}):  # noqa: ASYNC110 - nothing tells when
                    await asyncio.sleep(0.01)

    @pytest.mark.parametrize("act", ["suspend", "delete", "demote", "password", "reset", "leave"])
    async def test_change_of_account_reaches_other_services(
        self, auth: Auth, elsewhere: Authenticator, act: str
    ) -> None:
        headers = await auth.bearer()
        body = {"login_id": "alice", "password": PASSWORD, "display_name": "Alice", "role": "admin"}
        user_id = (await auth.client.post("/api/users", json=body, headers=headers)).json()["id"]
        bearer = (await auth.bearer("alice"))["Authorization"]
        by_password = basic("alice", PASSWORD)["Authorization"]
        others = headers["Authorization"]
        for credentials in (bearer, by_password, others):
            await elsewhere(a_request({"Authorization": credentials}))
            assert elsewhere.get_cached({b"authorization": credentials.encode()})
        match act:
            case "suspend":
                await auth.client.post(f"/api/users/{user_id}/suspend", headers=headers)
            case "delete":
                await auth.client.delete(f"/api/users/{user_id}", headers=headers)
            case "leave":
                await auth.client.delete("/api/users/me", headers={"Authorization": bearer})
            case "demote":
                await auth.client.patch(f"/api/users/{user_id}", json={"role": "member"}, headers=headers)
            case "password":
                body = {"current_password": PASSWORD, "new_password": NEW}
                await auth.client.patch("/api/users/me", json=body, headers={"Authorization": by_password})
            case _:
                made = await auth.client.post(f"/api/users/{user_id}/password-reset", headers=headers)
                body = {"code": made.json()["code"], "password": NEW}
                assert (await auth.client.post("/api/auth/reset", json=body)).status_code == 204
        await self.until_forgotten(elsewhere, bearer, by_password)
        with pytest.raises(Exception, match="AUTH_INVALID_TOKEN"):
            await elsewhere(a_request({"Authorization": bearer}))
        assert elsewhere.get_cached({b"authorization": others.encode()})

    async def test_login_session_that_changed_password_continues(self, auth: Auth, elsewhere: Authenticator) -> None:
        await auth.register("alice")
        bearer = await auth.bearer("alice")
        await elsewhere(a_request(bearer))
        body = {"current_password": PASSWORD, "new_password": NEW}
        other = (await auth.bearer("alice"))["Authorization"]
        await elsewhere(a_request({"Authorization": other}))
        assert (await auth.client.patch("/api/users/me", json=body, headers=bearer)).status_code == 200
        await self.until_forgotten(elsewhere, other)
        assert elsewhere.get_cached({b"authorization": bearer["Authorization"].encode()})


class TestRevocationSqlite(RevocationContract):
    @pytest.fixture
    def database_url(self, sqlite_url: str) -> str:
        return sqlite_url


class TestRevocationPostgres(RevocationContract):
    @pytest.fixture
    def database_url(self, postgres_url: str) -> str:
        return postgres_url


class TestForwardedAddress:
    """A client can't choose which address its failures are counted for."""

    @pytest.mark.parametrize(
        ("trusted", "forwarded", "seen"),
        [
            ("", "6.6.6.6", "127.0.0.1"),
            ("10.0.0.0/8", "6.6.6.6", "127.0.0.1"),
            ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("127.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
            ("127.0.0.1,10.0.0.0/8", "6.6.6.6, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
            ("127.0.0.1", "6.6.6.6, nonsense", "nonsense"),
        ],
    )
    async def test_only_trusted_proxies_name_the_client(
        self, start_auth: StartAuth, trusted: str, forwarded: str, seen: str
    ) -> None:
        async with start_auth(trusted_proxies=trusted) as auth:
            listener = listen("127.0.0.1", 0)
            server = HttpServer(auth.service.root_app, auth.settings)
            port = listener.getsockname()[1]
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            try:
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                    headers = {"X-Forwarded-For": forwarded, "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
                    body = {"login_id": "unknown", "password": "wrong"}
                    await client.post("/api/auth/login", json=body, headers=headers)
            finally:
                server.should_exit = True
                await serving
            (event,) = await auth.events("auth.login_failed")
            assert event["client_address"] == seen
