"""Access tokens: what they say and how they are verified. Only auth can mint them.

JWS with EdDSA (RFC 8037), held to RFC 8725: one algorithm, an explicit type, issuer, audience and times checked. A
token that was good and has expired is refused as such, so that its holder renews it; all others with the same words.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import jwt

from kit.cache import LruCache
from kit.errors import ApiError

ISSUER = "marquee"
AUDIENCE = "marquee"
ALGORITHM = "EdDSA"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type (RFC 9068, 2.1): no other kind of token may pass for an access token
REQUIRED_CLAIMS = ("iss", "aud", "sub", "role", "status", "sid", "jti", "iat", "exp")
MAX_TOKEN_CHARS = 4096
MAX_KID_CHARS = 64
_CACHE_ENTRIES = 10_000
_REVOKED_ENTRIES = 100_000
_REFETCH_SEC = 5.0
_REFETCH_AFTER_FAILURE_SEC = 1.0
_RENEW_SEC = 60.0
"""How long a key that auth does not publish any more may go on verifying."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking."""

    user_id: str
    role: str
    status: str
    corporation_id: str = ""
    login_session_id: str = ""
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
        self._seen = LruCache[str, _Verified](_CACHE_ENTRIES)
        self._revoked = LruCache[str, bool](_REVOKED_ENTRIES)
        self._least_versions = LruCache[str, int](_REVOKED_ENTRIES)

    def known(self, token: str) -> Caller | None:
        """Who a token speaks for, if it was verified before and still holds; None says nothing."""
        known = self._seen.peek(token)
        return known.caller if known and time.time() < known.expires_at else None

    def has_key_of(self, token: str) -> bool:
        """Whether the key that a token names is at hand; says nothing of its signature."""
        try:
            return jwt.get_unverified_header(token).get("kid") in self._keys
        except (jwt.PyJWTError, TypeError, ValueError):
            return False

    async def verify(self, token: str) -> Caller:
        """Who a token speaks for.

        Raises:
            ApiError: AUTH_INVALID_TOKEN; AUTH_TOKEN_EXPIRED for one that was good; SERVICE_UNAVAILABLE when the keys
                can't be had.
        """
        if known := self._seen.get(token):
            if time.time() < known.expires_at:
                return known.caller
            self._seen.pop(token)
            raise ApiError("AUTH_TOKEN_EXPIRED")
        verified = await self._check(token)
        return self._seen.put(token, verified).caller

    def revoke(self, login_session_id: str) -> None:
        """Refuses, from now on, the tokens of a login that was ended (their `sid` claim)."""
        if login_session_id in self._revoked:
            return
        self._revoked.put(login_session_id, True)
        self._seen.drop_if(lambda _, known: known.caller.login_session_id == login_session_id)

    def revoke_account(self, user_id: str, least_version: int) -> None:
        """Refuses, from now on, the tokens of an account that are older than a change of its rights.

        Args:
            user_id: their `sub` claim.
            least_version: the least `ver` claim that still holds.
        """
        if (self._least_versions.peek(user_id) or 0) >= least_version:
            return
        self._least_versions.put(user_id, least_version)
        self._seen.drop_if(lambda _, known: known.caller.user_id == user_id and known.version < least_version)

    async def renew_keys(self) -> None:
        """Asks for the keys again if that was a while ago, and forgets those that were withdrawn with their tokens.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when they can't be had; then those that are known go on.
        """
        async with self._fetching:
            if self._keys and time.monotonic() - self._fetched_at > _RENEW_SEC:
                await self._fetch()

    async def _check(self, token: str) -> _Verified:
        if len(token) > MAX_TOKEN_CHARS:
            raise ApiError("AUTH_INVALID_TOKEN")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != TOKEN_TYPE:
                raise ApiError("AUTH_INVALID_TOKEN")
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
            verified = _verified(claims)
        except jwt.ExpiredSignatureError as error:
            # The signature was right: a client should know that a fresh token is all it needs.
            raise ApiError("AUTH_TOKEN_EXPIRED") from error
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise ApiError("AUTH_INVALID_TOKEN") from error
        caller = verified.caller
        if caller.login_session_id in self._revoked or verified.version < (
            self._least_versions.peek(caller.user_id) or 0
        ):
            raise ApiError("AUTH_INVALID_TOKEN")
        return verified

    async def _key(self, kid: object) -> jwt.PyJWK:
        if not isinstance(kid, str) or len(kid) > MAX_KID_CHARS:
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
            keys = {key["kid"]: jwt.PyJWK(key, ALGORITHM) for key in document["keys"]}
        except ApiError:
            self._failed_at = time.monotonic()
            raise
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            # Auth's fault, not the caller's: their token may be good.
            self._failed_at = time.monotonic()
            raise ApiError("SERVICE_UNAVAILABLE", headers={"Retry-After": "2"}) from error
        if self._keys.keys() - keys.keys():
            # What a withdrawn key has signed must be looked at again.
            self._seen.clear()
        self._keys = keys
        self._fetched_at = time.monotonic()


@dataclass(frozen=True, slots=True)
class _Verified:
    """What a good token says."""

    caller: Caller
    expires_at: float
    """Seconds since the epoch."""
    version: int
    """Of the rights it speaks of; 0 when it does not say."""


def _verified(claims: dict[str, Any]) -> _Verified:
    fields = {
        "user_id": claims["sub"],
        "role": claims["role"],
        "status": claims["status"],
        "corporation_id": claims.get("corporation_id") or "",
        "login_session_id": claims["sid"],
    }
    if not all(isinstance(value, str) for value in fields.values()):
        raise TypeError("claims must be texts")
    version = claims.get("ver", 0)
    if type(version) is not int:
        raise TypeError("the version must be a number")
    return _Verified(Caller(**fields), float(claims["exp"]), version)
