"""Access tokens: everything that is not exactly right is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kit.auth import tokens
from kit.auth.tokens import REQUIRED_CLAIMS, TOKEN_TYPE, Caller, TokenVerifier
from kit.errors import ApiError, ErrorCode


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Auth:
    """Mints tokens and publishes keys, as auth does."""

    def __init__(self) -> None:
        self.keys = {"k1": Ed25519PrivateKey.generate()}
        self.fetches = 0
        self.away = False
        self.document: str | None = None

    async def fetch(self) -> str:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.away:
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)
        public = [
            {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(key.public_key().public_bytes_raw())}
            for kid, key in self.keys.items()
        ]
        return self.document or json.dumps({"keys": public})

    def mint(self, kid: str = "k1", headers: dict[str, Any] | None = None, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": "marquee",
            "aud": "marquee",
            "sub": "u1",
            "role": "member",
            "status": "active",
            "corporation_id": None,
            "sid": "s1",
            "jti": "j1",
            "iat": now,
            "exp": now + 900,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not ...}
        return jwt.encode(claims, self.keys[kid], "EdDSA", headers={"kid": kid, "typ": TOKEN_TYPE, **(headers or {})})


@pytest.fixture
def auth() -> Auth:
    return Auth()


@pytest.fixture
def verifier(auth: Auth) -> TokenVerifier:
    return TokenVerifier(auth.fetch)


async def test_get_cached_returns_a_verified_token_until_it_expires(
    auth: Auth, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = auth.mint()
    assert verifier.get_cached(token) is None
    caller = await verifier.verify(token)
    assert verifier.get_cached(token) == caller
    assert verifier.get_cached(token + "x") is None
    monkeypatch.setattr(tokens, "time", SimpleNamespace(time=lambda: time.time() + 901, monotonic=time.monotonic))
    assert verifier.get_cached(token) is None


async def test_the_tokens_of_an_ended_login_are_refused(auth: Auth, verifier: TokenVerifier) -> None:
    seen, unseen, other = auth.mint(), auth.mint(jti="j2"), auth.mint(sid="s2")
    await verifier.verify(seen)
    kept = await verifier.verify(other)
    verifier.revoke("s1")
    verifier.revoke("s1")
    for token in (seen, unseen):
        assert verifier.get_cached(token) is None
        with pytest.raises(ApiError, match="AUTH_INVALID_TOKEN"):
            await verifier.verify(token)
    assert verifier.get_cached(other) == kept


class Clock(SimpleNamespace):
    """What the module knows of time."""

    def __init__(self) -> None:
        super().__init__(ahead=0.0)

    def time(self) -> float:
        return time.time() + float(self.ahead)

    def monotonic(self) -> float:
        return time.monotonic() + float(self.ahead)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tokens, "time", clock)
    return clock


async def refused(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(ApiError) as caught:
        await verifier.verify(token)
    return caught.value.code


async def test_verify_returns_the_caller_of_a_valid_token(auth: Auth, verifier: TokenVerifier) -> None:
    token = auth.mint(sub="u7", role="admin", corporation_id="c1", sid="s9")
    assert await verifier.verify(token) == Caller("u7", "admin", "active", "c1", "s9")
    assert (await verifier.verify(token)).is_admin
    assert await verifier.verify(auth.mint()) == Caller("u1", "member", "active", "", "s1")
    assert auth.fetches == 1


async def test_accepts_tokens_of_a_clock_that_is_ahead(auth: Auth, verifier: TokenVerifier) -> None:
    assert (await verifier.verify(auth.mint(iat=int(time.time()) + 20))).user_id == "u1"


@pytest.mark.parametrize("claim", REQUIRED_CLAIMS)
async def test_refuses_a_token_without_a_required_claim(auth: Auth, verifier: TokenVerifier, claim: str) -> None:
    assert await refused(verifier, auth.mint(**dict[str, Any]({claim: ...}))) == "AUTH_INVALID_TOKEN"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "evil"},
        {"aud": "evil"},
        {"aud": []},
        {"sub": 7},
        {"role": ["admin"]},
        {"role": None},
        {"status": {"active": True}},
        {"sid": 1.5},
        {"corporation_id": ["c1"]},
        {"exp": "soon"},
        {"exp": None},
        {"nbf": int(time.time()) + 3600},
    ],
)
async def test_refuses_wrong_claims(auth: Auth, verifier: TokenVerifier, changes: dict[str, Any]) -> None:
    assert await refused(verifier, auth.mint(**changes)) == "AUTH_INVALID_TOKEN"


async def test_expired_token_is_refused_as_such_if_it_was_good(auth: Auth, verifier: TokenVerifier) -> None:
    expired = auth.mint(exp=int(time.time()) - 1)
    assert await refused(verifier, expired) == "AUTH_TOKEN_EXPIRED"
    head, claims, signature = expired.split(".")
    forged = f"{head}.{claims}.{signature[::-1]}"
    assert await refused(verifier, forged) == "AUTH_INVALID_TOKEN"


async def test_cached_token_expires(auth: Auth, verifier: TokenVerifier, clock: Clock) -> None:
    token = auth.mint()
    await verifier.verify(token)
    clock.ahead = 899 - 1
    await verifier.verify(token)
    clock.ahead = 901
    assert await refused(verifier, token) == "AUTH_TOKEN_EXPIRED"


async def test_a_token_without_a_signature_is_refused(auth: Auth, verifier: TokenVerifier) -> None:
    _, claims, _ = auth.mint().split(".")
    for algorithm in ("none", "None", "NONE"):
        header = b64(json.dumps({"alg": algorithm, "typ": TOKEN_TYPE, "kid": "k1"}).encode())
        assert await refused(verifier, f"{header}.{claims}.") == "AUTH_INVALID_TOKEN"


async def test_refuses_the_public_key_used_as_shared_secret(auth: Auth, verifier: TokenVerifier) -> None:
    public = auth.keys["k1"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _, claims, _ = auth.mint(role="admin").split(".")
    header = b64(b'{"alg": "HS256", "typ": "at+jwt", "kid": "k1"}')
    for secret in (public.public_bytes_raw(), b64(public.public_bytes_raw()).encode(), pem):
        signature = b64(hmac.digest(secret, f"{header}.{claims}".encode(), hashlib.sha256))
        assert await refused(verifier, f"{header}.{claims}.{signature}") == "AUTH_INVALID_TOKEN"


@pytest.mark.parametrize(
    "header", [{"typ": "JWT"}, {"typ": None}, {"typ": "AT+JWT "}, {"crit": ["exp"]}, {"b64": False}]
)
async def test_another_kind_of_token_is_refused(auth: Auth, verifier: TokenVerifier, header: dict[str, Any]) -> None:
    header_text, claims, _ = auth.mint().split(".")
    changed = {**json.loads(base64.urlsafe_b64decode(header_text + "==")), **header}
    signed = f"{b64(json.dumps(changed).encode())}.{claims}"
    signature = auth.keys["k1"].sign(signed.encode())
    assert await refused(verifier, f"{signed}.{b64(signature)}") == "AUTH_INVALID_TOKEN"


async def test_tokens_from_before_a_change_of_rights_are_refused(auth: Auth, verifier: TokenVerifier) -> None:
    old, unseen, new = auth.mint(ver=1), auth.mint(ver=1, jti="j2"), auth.mint(ver=2)
    unversioned, others = auth.mint(), auth.mint(sub="u2", ver=1)
    for token in (old, new, unversioned, others):
        await verifier.verify(token)
    verifier.revoke_account("u1", 2)
    verifier.revoke_account("u1", 1)
    for token in (old, unseen, unversioned):
        assert verifier.get_cached(token) is None
        assert await refused(verifier, token) == "AUTH_INVALID_TOKEN"
    for token in (new, others):
        assert verifier.get_cached(token)
        await verifier.verify(token)


@pytest.mark.parametrize("version", ["2", 2.0, True, None, [2]])
async def test_refuses_a_version_that_is_no_number(auth: Auth, verifier: TokenVerifier, version: Any) -> None:
    assert await refused(verifier, auth.mint(ver=version)) == "AUTH_INVALID_TOKEN"


async def test_refuses_tokens_of_a_withdrawn_key_after_a_while(
    auth: Auth, verifier: TokenVerifier, clock: Clock
) -> None:
    auth.keys["k2"] = Ed25519PrivateKey.generate()
    old, good = auth.mint("k1"), auth.mint("k2")
    await verifier.verify(old)
    await verifier.verify(good)
    del auth.keys["k1"]
    await verifier.renew_keys()
    assert (auth.fetches, verifier.get_cached(old) is not None) == (1, True)
    clock.ahead += tokens._RENEW_SEC + 1
    auth.away = True
    with pytest.raises(ApiError, match="SERVICE_UNAVAILABLE"):
        await verifier.renew_keys()
    assert verifier.get_cached(old)
    auth.away = False
    clock.ahead += tokens._REFETCH_AFTER_FAILURE_SEC + 0.1
    await verifier.renew_keys()
    assert await refused(verifier, old) == "AUTH_INVALID_TOKEN"
    assert (await verifier.verify(good)).user_id == "u1"


async def test_ignores_a_key_inside_the_token(auth: Auth, verifier: TokenVerifier) -> None:
    evil = Auth()
    jwk = json.loads(await evil.fetch())["keys"][0]
    headers = {"jwk": jwk, "jku": "https://evil/jwks.json"}
    assert await refused(verifier, evil.mint(headers=headers)) == "AUTH_INVALID_TOKEN"
    assert auth.fetches == 1


async def test_changed_claims_and_signatures_are_refused(auth: Auth, verifier: TokenVerifier) -> None:
    token = auth.mint()
    header, claims, signature = token.split(".")
    admin = auth.mint(role="admin").split(".")[1]
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    for changed in (f"{header}.{admin}.{signature}", f"{header}.{claims}.{flipped}", f"{header}.{claims}.", token[:-2]):
        assert await refused(verifier, changed) == "AUTH_INVALID_TOKEN"
    # A refusal is not remembered against the good one.
    assert (await verifier.verify(token)).user_id == "u1"


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "\0",
        "x" * 5000,
        b64(b"[]") + ".e30.AA",
        b64(b'"EdDSA"') + ".e30.AA",
        b64(b'{"alg": "EdDSA", "typ": "at+jwt"}') + ".e30.AA",
        b64(b'{"alg": "EdDSA", "typ": "at+jwt", "kid": 7}') + ".e30.AA",
        b64(b'{"alg": "EdDSA", "typ": "at+jwt", "kid": null}') + ".e30.AA",
        b64(b'{"alg": "EdDSA", "typ": "at+jwt", "kid": "' + b"k" * 65 + b'"}') + ".e30.AA",
        b64(b'{"alg": "EdDSA", "typ": ["at+jwt"], "kid": "k1"}') + ".e30.AA",
        b64(b'{"a": ' + b"[" * 2900) + ".e30.AA",
    ],
)
async def test_refuses_text_that_is_no_token(verifier: TokenVerifier, token: str) -> None:
    assert await refused(verifier, token) == "AUTH_INVALID_TOKEN"


@given(st.text() | st.binary().map(b64).map("{}.e30.AA".format))
def test_no_text_breaks_the_verifier(token: str) -> None:
    async def check() -> None:
        assert await refused(TokenVerifier(Auth().fetch), token) == "AUTH_INVALID_TOKEN"

    asyncio.run(check())


async def test_refuses_a_huge_token_without_parsing_it(auth: Auth, verifier: TokenVerifier) -> None:
    assert await refused(verifier, auth.mint(padding="x" * 5000)) == "AUTH_INVALID_TOKEN"
    assert auth.fetches == 0


async def test_made_up_key_ids_do_not_flood_auth(auth: Auth, verifier: TokenVerifier, clock: Clock) -> None:
    evil = Auth()
    for number in range(20):
        evil.keys[f"made-up-{number}"] = evil.keys["k1"]
    forged = [evil.mint(f"made-up-{number}") for number in range(20)]
    codes = await asyncio.gather(*(refused(verifier, token) for token in forged))
    assert set(codes) == {"AUTH_INVALID_TOKEN"}
    assert auth.fetches == 1
    clock.ahead += tokens._REFETCH_SEC + 1
    await refused(verifier, forged[0])
    assert auth.fetches == 2


async def test_a_new_key_is_found_and_an_old_one_forgotten(auth: Auth, verifier: TokenVerifier, clock: Clock) -> None:
    await verifier.verify(auth.mint())
    old = auth.mint(jti="another")
    auth.keys["k2"] = Ed25519PrivateKey.generate()
    del auth.keys["k1"]
    clock.ahead += tokens._REFETCH_SEC + 1
    assert (await verifier.verify(auth.mint("k2"))).user_id == "u1"
    assert await refused(verifier, old) == "AUTH_INVALID_TOKEN"


async def test_only_cached_keys_verify_while_auth_is_away(auth: Auth, verifier: TokenVerifier) -> None:
    await verifier.verify(auth.mint())
    auth.away = True
    assert (await verifier.verify(auth.mint(sub="u2"))).user_id == "u2"


async def test_while_auth_is_away_requests_do_not_queue_for_it(
    auth: Auth, verifier: TokenVerifier, clock: Clock
) -> None:
    auth.away = True
    codes = await asyncio.gather(*(refused(verifier, auth.mint(jti=str(number))) for number in range(20)))
    assert set(codes) == {"SERVICE_UNAVAILABLE"}
    assert auth.fetches == 1

    auth.away = False
    clock.ahead += tokens._REFETCH_AFTER_FAILURE_SEC + 0.1
    assert (await verifier.verify(auth.mint())).user_id == "u1"


@pytest.mark.parametrize(
    "document", ["", "{}", "[]", '{"keys": [{"kty": "OKP"}]}', '{"keys": [{"kid": "k1"}]}', "null"]
)
async def test_unusable_keys_are_service_unavailable(auth: Auth, verifier: TokenVerifier, document: str) -> None:
    auth.document = document or " "
    with pytest.raises(ApiError, match="SERVICE_UNAVAILABLE") as caught:
        await verifier.verify(auth.mint())
    assert caught.value.details == {"dependency": "auth"}


async def test_cache_of_tokens_is_bounded(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_CACHE_ENTRIES", 3)
    verifier = TokenVerifier(auth.fetch)
    for number in range(10):
        await verifier.verify(auth.mint(jti=str(number)))
    assert len(verifier._seen) == 3
