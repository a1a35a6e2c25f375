"""Access tokens: their claims and their verification. Only auth can issue them.

JWS with EdDSA (RFC 8037), held to RFC 8725: one algorithm, an explicit type, issuer, audience and times checked. A
token that was valid and has expired is refused as such, so that its holder renews it; all others alike, without a
reason.
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
from kit.errors import ApiError, ErrorCode, service_unavailable

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
"""How long a key that auth does not publish any more may still verify tokens."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request."""

    user_id: str
    role: str
    status: str
    corporation_id: str = ""
    login_session_id: str = ""
    """The login session: all tokens of one refresh family share it. Empty with Basic."""

    @property
    def is_admin(self) -> bool:
        """Return whether the caller is an administrator."""
        return self.role == "admin"


class TokenVerifier:
    """Verifies access tokens in this process, with the public keys that auth publishes.

    Args:
        fetch_jwks: fetches the JSON Web Key Set; called again when a token names an unknown key.
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

    def get_cached(self, token: str) -> Caller | None:
        """Return the caller of a token that was verified before and still holds; None is a cache miss, no denial."""
        cached = self._seen.peek(token)
        return cached.caller if cached and time.time() < cached.expires_at else None

    def has_key_of(self, token: str) -> bool:
        """Return whether the key that a token names is in memory; its signature is not checked."""
        try:
            return jwt.get_unverified_header(token).get("kid") in self._keys
        except (jwt.PyJWTError, TypeError, ValueError):
            return False

    async def verify(self, token: str) -> Caller:
        """Verify a token and return its caller.

        Raises:
            ApiError: AUTH_INVALID_TOKEN; AUTH_TOKEN_EXPIRED for one that was valid; SERVICE_UNAVAILABLE when the keys
                can't be fetched.
        """
        if cached := self._seen.get(token):
            if time.time() < cached.expires_at:
                return cached.caller
            self._seen.pop(token)
            raise ApiError(ErrorCode.AUTH_TOKEN_EXPIRED)
        verified = await self._check(token)
        return self._seen.put(token, verified).caller

    def revoke(self, login_session_id: str) -> None:
        """Refuse the tokens of an ended login session (their `sid` claim) from now on."""
        if login_session_id in self._revoked:
            return
        self._revoked.put(login_session_id, True)
        self._seen.drop_if(lambda _, cached: cached.caller.login_session_id == login_session_id)

    def revoke_account(self, user_id: str, least_version: int) -> None:
        """Refuse an account's tokens that are older than a change of its rights from now on.

        Args:
            user_id: their `sub` claim.
            least_version: the least `ver` claim that is still valid.
        """
        if (self._least_versions.peek(user_id) or 0) >= least_version:
            return
        self._least_versions.put(user_id, least_version)
        self._seen.drop_if(lambda _, cached: cached.caller.user_id == user_id and cached.version < least_version)

    async def renew_keys(self) -> None:
        """Fetch the keys again after `_RENEW_SEC`, and forget withdrawn ones with the tokens that they verified.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when they can't be fetched; the ones in memory stay valid then.
        """
        async with self._fetching:
            if self._keys and time.monotonic() - self._fetched_at > _RENEW_SEC:
                await self._fetch()

    async def _check(self, token: str) -> _Verified:
        if len(token) > MAX_TOKEN_CHARS:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != TOKEN_TYPE:
                raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
            key = await self._key(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                # A clock a second behind auth's must not refuse all who have just logged in: `exp` decides.
                options={"require": list(REQUIRED_CLAIMS), "verify_iat": False},
            )
            verified = _verified(claims)
        except jwt.ExpiredSignatureError as error:
            # The signature is valid: tell the client that it only needs a fresh token.
            raise ApiError(ErrorCode.AUTH_TOKEN_EXPIRED) from error
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN) from error
        caller = verified.caller
        if caller.login_session_id in self._revoked or verified.version < (
            self._least_versions.peek(caller.user_id) or 0
        ):
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        return verified

    async def _key(self, kid: object) -> jwt.PyJWK:
        if not isinstance(kid, str) or len(kid) > MAX_KID_CHARS:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        if kid not in self._keys:
            async with self._fetching:
                # A flood of tokens with made-up key ids must not become a flood of calls to auth.
                if kid not in self._keys and time.monotonic() - self._fetched_at > _REFETCH_SEC:
                    await self._fetch()
        if kid not in self._keys:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        return self._keys[kid]

    async def _fetch(self) -> None:
        if time.monotonic() - self._failed_at < _REFETCH_AFTER_FAILURE_SEC:
            # Requests that waited here while auth did not answer must not wait for it again, one after the other.
            raise service_unavailable("auth", retry_after_sec=2)
        try:
            document = json.loads(await self._fetch_jwks())
            keys = {key["kid"]: jwt.PyJWK(key, ALGORITHM) for key in document["keys"]}
        except ApiError:
            self._failed_at = time.monotonic()
            raise
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            # Auth's fault, not the caller's: the token may be valid.
            self._failed_at = time.monotonic()
            raise service_unavailable("auth", retry_after_sec=2) from error
        if self._keys.keys() - keys.keys():
            # Tokens that a withdrawn key has signed must be verified again.
            self._seen.clear()
        self._keys = keys
        self._fetched_at = time.monotonic()


@dataclass(frozen=True, slots=True)
class _Verified:
    """The content of a valid token."""

    caller: Caller
    expires_at: float
    """Seconds since the epoch."""
    version: int
    """Version of the rights in it; 0 without one."""


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
