"""Access tokens: what they say and how they are verified. Only auth can mint them.

JWS with EdDSA (RFC 8037), profile of RFC 8725: one algorithm, typed claims, issuer and audience checked.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import jwt

from kit.errors import ApiError

ISSUER = "marquee"
AUDIENCE = "marquee"
ALGORITHM = "EdDSA"
REQUIRED_CLAIMS = ("iss", "aud", "sub", "role", "status", "sid", "jti", "iat", "exp")
MAX_TOKEN_CHARS = 4096
_CACHE_ENTRIES = 10_000
_REVOKED_ENTRIES = 100_000
_REFETCH_SEC = 5.0
_REFETCH_AFTER_FAILURE_SEC = 1.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking."""

    user_id: str
    role: str
    status: str
    corporation_id: str = ""
    session_id: str = ""
    """The login this comes from: all tokens of one refresh family share it. Empty with Basic."""

    @property
    def is_admin(self) -> bool:
        """Whether the caller runs the platform."""
        return self.role == "admin"


class TokenVerifier:
    """Verifies access tokens in this process, with the public keys that auth publishes.

    Args:
        fetch_jwks: gets the JSON Web Key Set; asked again when a token names a key not seen yet.
    """

    def __init__(self, fetch_jwks: Callable[[], Awaitable[str]]) -> None:
        self._fetch_jwks = fetch_jwks
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetching = asyncio.Lock()
        self._fetched_at = float("-inf")
        self._failed_at = float("-inf")
        self._seen: OrderedDict[str, tuple[Caller, float]] = OrderedDict()
        self._revoked: OrderedDict[str, None] = OrderedDict()

    def known(self, token: str) -> Caller | None:
        """Who a token speaks for, if it was verified before and still holds; None says nothing."""
        known = self._seen.get(token)
        return known[0] if known and time.time() < known[1] else None

    async def verify(self, token: str) -> Caller:
        """Who a token speaks for.

        Raises:
            ApiError: AUTH_TOKEN_EXPIRED, AUTH_INVALID_TOKEN, or SERVICE_UNAVAILABLE when the keys can't be had.
        """
        if known := self._seen.get(token):
            caller, expires_at = known
            if time.time() < expires_at:
                return caller
            del self._seen[token]
            raise ApiError("AUTH_TOKEN_EXPIRED")
        caller, expires_at = await self._check(token)
        self._seen[token] = caller, expires_at
        if len(self._seen) > _CACHE_ENTRIES:
            self._seen.popitem(last=False)
        return caller

    def revoke(self, session_id: str) -> None:
        """Refuses, from now on, the tokens of a login that was ended (their `sid` claim)."""
        if session_id in self._revoked:
            return
        self._revoked[session_id] = None
        if len(self._revoked) > _REVOKED_ENTRIES:
            self._revoked.popitem(last=False)
        for token in [token for token, (caller, _) in self._seen.items() if caller.session_id == session_id]:
            del self._seen[token]

    async def _check(self, token: str) -> tuple[Caller, float]:
        if len(token) > MAX_TOKEN_CHARS:
            raise ApiError("AUTH_INVALID_TOKEN")
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                # A replica's clock a second behind auth's must not refuse everybody who just logged in: `exp` counts.
                options={"require": list(REQUIRED_CLAIMS), "verify_iat": False},
            )
            caller = _caller(claims)
            if caller.session_id in self._revoked:
                raise ApiError("AUTH_INVALID_TOKEN")
            return caller, float(claims["exp"])
        except jwt.ExpiredSignatureError as error:
            raise ApiError("AUTH_TOKEN_EXPIRED") from error
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise ApiError("AUTH_INVALID_TOKEN") from error

    async def _key(self, kid: object) -> jwt.PyJWK:
        if not isinstance(kid, str):
            raise ApiError("AUTH_INVALID_TOKEN")
        if kid not in self._keys:
            async with self._fetching:
                # A flood of tokens with made-up key ids must not become a flood of questions to auth.
                if kid not in self._keys and time.monotonic() - self._fetched_at > _REFETCH_SEC:
                    await self._fetch()
        if kid not in self._keys:
            raise ApiError("AUTH_INVALID_TOKEN")
        return self._keys[kid]

    async def _fetch(self) -> None:
        if time.monotonic() - self._failed_at < _REFETCH_AFTER_FAILURE_SEC:
            # Those who waited here while auth did not answer must not wait for it again, one after the other.
            raise ApiError("SERVICE_UNAVAILABLE", headers={"Retry-After": "2"})
        try:
            document = json.loads(await self._fetch_jwks())
            self._keys = {key["kid"]: jwt.PyJWK(key, ALGORITHM) for key in document["keys"]}
        except ApiError:
            self._failed_at = time.monotonic()
            raise
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            # Auth's fault, not the caller's: their token may be good.
            self._failed_at = time.monotonic()
            raise ApiError("SERVICE_UNAVAILABLE", headers={"Retry-After": "2"}) from error
        self._fetched_at = time.monotonic()


def _caller(claims: dict[str, Any]) -> Caller:
    fields = {
        "user_id": claims["sub"],
        "role": claims["role"],
        "status": claims["status"],
        "corporation_id": claims.get("corporation_id") or "",
        "session_id": claims["sid"],
    }
    if not all(isinstance(value, str) for value in fields.values()):
        raise TypeError("claims must be texts")
    return Caller(**fields)
