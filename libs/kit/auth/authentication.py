"""Authenticate requests by Bearer token, Basic credentials or the cookie that login set.

Deny by default: routers are made by `protected_router`; a public route is one whose router does not come from there.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Protocol
from weakref import WeakValueDictionary

from fastapi import APIRouter, Depends, Request, Response
from fastapi.openapi.models import APIKey, APIKeyIn, OAuthFlowPassword, OAuthFlows
from fastapi.openapi.models import HTTPBase as HTTPBaseModel
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase

from kit.audit import Admin
from kit.auth.tokens import Caller, TokenVerifier
from kit.cache import LruCache
from kit.errors import BEARER, ApiError, ErrorCode

ACCESS_COOKIE = "marquee_access"
"""Prefix of the name of the cookie that login sets; `_` and the installation's name follow. Cookies ignore ports (RFC
6265, 8.5): without that name, two installations on one host would overwrite each other's. Earlier versions set the
cookie without it."""
_MAX_TOKENS = 16
TOKEN_PATH = "/api/auth/token"  # noqa: S105 - an address
"""Token endpoint of OAuth 2.0's password flow at auth, so that API documentation can log in."""
CSRF_HEADER = "X-Requested-With"
"""Required for unsafe methods with a cookie: a cross-site form can't send it, and a cross-site script may not."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BASIC_CHALLENGE = 'Basic realm="marquee", charset="UTF-8"'
_BASIC_CACHE_SEC = 15.0
_BASIC_CACHE_ENTRIES = 1_000
_MAX_CREDENTIALS_CHARS = 2_000

VerifyBasic = Callable[[str, str, str], Awaitable[Caller]]
"""Takes login, password and client address; raises ApiError when they are refused."""


class Authenticate(Protocol):
    """Authentication as the HTTP layer uses it."""

    async def __call__(self, request: Request) -> Caller:
        """Return the caller of a request; raise ApiError."""

    def get_cached(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Return the caller of a safe request with these header fields from memory; None is a cache miss, no denial."""


class Authenticator:
    """Turns a request's credentials into a `Caller`.

    Args:
        verifier: checks access tokens.
        verify_basic: checks a login and password; called once per credentials and cache time.
    """

    def __init__(self, verifier: TokenVerifier, verify_basic: VerifyBasic) -> None:
        self._verifier = verifier
        self._verify_basic = verify_basic
        self._cache_key = secrets.token_bytes(32)
        self._basic = LruCache[bytes, tuple[Caller, float]](_BASIC_CACHE_ENTRIES)
        self._asking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._changes = 0

    async def __call__(self, request: Request) -> Caller:
        """Return the caller of a request.

        Raises:
            ApiError: AUTH_INVALID_TOKEN without usable credentials; AUTH_USER_PENDING or AUTH_USER_SUSPENDED when the
                account may not be used; AUTH_FORBIDDEN for an unsafe request with a cookie and without its header.
        """
        try:
            caller = await self._identify(request)
        except ApiError as error:
            if error.code.http_status == 401:  # noqa: PLR2004 - RFC 9110, 15.5.2
                error.challenges = challenges(request)
            raise
        if caller.status == "pending":
            raise ApiError(ErrorCode.AUTH_USER_PENDING)
        if caller.status != "active":
            raise ApiError(ErrorCode.AUTH_USER_SUSPENDED)
        return caller

    def revoke(self, login_session_id: str) -> None:
        """Refuse the tokens of an ended login session from now on."""
        self._verifier.revoke(login_session_id)

    def revoke_account(self, user_id: str, least_version: int) -> None:
        """Discard everything cached about an account before its password, rights or existence changed.

        Args:
            user_id: the account.
            least_version: access tokens whose `ver` claim is lower are refused.
        """
        self._verifier.revoke_account(user_id, least_version)
        # A response that is under way may be older than the change.
        self._changes += 1
        self._basic.drop_if(lambda _, cached: cached[0].user_id == user_id)

    async def renew_keys(self) -> None:
        """Drop keys that auth has withdrawn. Raises what `TokenVerifier.renew_keys` raises."""
        await self._verifier.renew_keys()

    def get_cached(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Return the caller of a safe request (RFC 9110, 9.2.1) if the same credentials were verified and still hold.

        None is a cache miss, no denial.

        Args:
            fields: the request's header fields, by lower-case name.
        """
        authorization = fields.get(b"authorization")
        if authorization is None:
            tokens = cookie_values(fields.get(b"cookie", b"").decode("latin-1"), ACCESS_COOKIE)
            callers = {caller for token in tokens if (caller := self._verifier.get_cached(token))}
            caller = callers.pop() if len(callers) == 1 else None
        elif authorization[:7].lower() == b"bearer ":
            caller = self._verifier.get_cached(authorization[7:].strip().decode("latin-1"))
        elif authorization[:6].lower() == b"basic ":
            caller = self._remembered(self._digest(authorization[6:].strip().decode("latin-1")))
        else:
            caller = None
        return caller if caller and caller.status == "active" else None

    async def _identify(self, request: Request) -> Caller:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        match scheme.lower():
            case "bearer":
                return await self._verifier.verify(credentials.strip())
            case "basic":
                return await self._identify_basic(credentials.strip(), request)
            case "":
                pass
            case _:
                raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        if tokens := cookies_of(request, ACCESS_COOKIE):
            if request.method not in _SAFE_METHODS and CSRF_HEADER not in request.headers:
                raise ApiError(ErrorCode.AUTH_FORBIDDEN, f"Requests with a cookie need the header {CSRF_HEADER}.")
            return await self._verify_one_of(tokens)
        raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)

    async def _verify_one_of(self, tokens: Sequence[str]) -> Caller:
        """Return the caller of the first valid token; the others are of other installations, or left over."""
        if len(tokens) > 1:
            # A token of another installation names an unknown key, which would be fetched from auth.
            tokens = sorted(tokens, key=self._verifier.has_key_of, reverse=True)
        refusals: list[ApiError] = []
        for token in tokens:
            try:
                return await self._verifier.verify(token)
            except ApiError as error:
                refusals.append(error)
        # Of several reasons the most specific: but for it, the token may be valid.
        raise next((error for error in refusals if error.code != ErrorCode.AUTH_INVALID_TOKEN), refusals[0])

    async def _identify_basic(self, credentials: str, request: Request) -> Caller:
        digest = self._digest(credentials)
        if cached := self._remembered(digest):
            return cached
        login, password = parse_basic(credentials)
        # A downloader opens sixteen connections at once: the first one calls auth, the others wait for its result.
        async with self._asking.setdefault(digest, asyncio.Lock()):
            if cached := self._remembered(digest):
                return cached
            changes = self._changes
            caller = await self._verify_basic(login, password, client_address(request))
            if changes == self._changes:
                self._basic.put(digest, (caller, time.monotonic() + _BASIC_CACHE_SEC))
            return caller

    def _digest(self, credentials: str) -> bytes:
        return hmac.digest(self._cache_key, credentials.encode(), hashlib.sha256)

    def _remembered(self, digest: bytes) -> Caller | None:
        cached = self._basic.peek(digest)
        return cached[0] if cached and time.monotonic() < cached[1] else None


def cookie_values(header: str, name: str) -> list[str]:
    """Return the values of a cookie in a `Cookie` field, whichever installation set it.

    Of `name` with an installation's name behind it, then of the bare `name` that earlier versions used; within each in
    the order of the field. A browser sends two of one name when their paths or domains differ.

    Args:
        header: the field; several joined by `;`.
        name: the cookie's, without the installation's.
    """
    named: list[str] = []
    bare: list[str] = []
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            bare.append(value)
        elif key.startswith(f"{name}_") and len(key) > len(name) + 1:
            named.append(value)
    return [value for value in dict.fromkeys([*named, *bare]) if value][:_MAX_TOKENS]


def cookies_of(request: Request, name: str) -> list[str]:
    """Return the values of a cookie that a request has, as `cookie_values` does."""
    return cookie_values(";".join(request.headers.getlist("Cookie")), name)


def has_credentials(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request has credentials, valid or not. Tickets don't count: they are for media."""
    return any(
        name == b"authorization" or (name == b"cookie" and cookie_values(value.decode("latin-1"), ACCESS_COOKIE))
        for name, value in headers
    )


def parse_basic(credentials: str) -> tuple[str, str]:
    """Return login and password of Basic credentials (RFC 7617, UTF-8).

    Raises:
        ApiError: AUTH_INVALID_CREDENTIALS when they are malformed.
    """
    if len(credentials) > _MAX_CREDENTIALS_CHARS:
        raise ApiError(ErrorCode.AUTH_INVALID_CREDENTIALS)
    try:
        login, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError as error:  # no Base64, no ASCII or no UTF-8
        raise ApiError(ErrorCode.AUTH_INVALID_CREDENTIALS) from error
    if not colon:
        raise ApiError(ErrorCode.AUTH_INVALID_CREDENTIALS)
    return login, password


def challenges(request: Request) -> tuple[str, ...]:
    """Return the challenges of a 401; scripts of a page get no Basic challenge, so that no browser opens a dialog."""
    return (BEARER,) if CSRF_HEADER in request.headers else (BEARER, _BASIC_CHALLENGE)


def client_address(request: Request) -> str:
    """Return the client's address, as far as trusted proxies name it; empty without one."""
    return request.client.host if request.client else ""


class _Documented(SecurityBase):
    """A security scheme of the API's documentation; `Authenticator` does the work."""

    def __init__(self, name: str, model: SecurityModel) -> None:
        self.scheme_name = name
        self.model = model

    async def __call__(self) -> None:
        """Do nothing."""


_BEARER = Depends(_Documented("bearer", HTTPBearerModel(bearerFormat="JWT")))
_PASSWORD = Depends(
    _Documented("password", OAuth2Model(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl=TOKEN_PATH))))
)
_BASIC = Depends(_Documented("basic", HTTPBaseModel(scheme="basic")))
_COOKIE = Depends(
    _Documented(
        "cookie",
        APIKey.model_validate(
            {
                "in": APIKeyIn.cookie,
                "name": ACCESS_COOKIE,
                "description": "Set by login, with `_` and the installation's name behind its name.",
            }
        ),
    )
)


async def current_caller(request: Request) -> Caller:
    """Return the caller of a protected route; raise ApiError without valid credentials."""
    authenticate: Authenticate = request.app.state.authenticate
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        # Authenticate once a request: a wrong password is counted.
        refused: ApiError | None = getattr(request.state, "caller_error", None)
        if refused is not None:
            raise refused
        try:
            caller = request.state.caller = await authenticate(request)
        except ApiError as error:
            request.state.caller_error = error
            raise
    return caller


async def caller_or_none(request: Request) -> Caller | None:
    """Return the caller, or None without valid credentials: a protected route refuses those by itself."""
    try:
        return await current_caller(request)
    except ApiError:
        return None


async def current_admin(caller: Annotated[Caller, Depends(current_caller)]) -> Caller:
    """Return the caller of a route for administrators.

    Raises:
        ApiError: AUTH_FORBIDDEN for all other callers.
    """
    if not caller.is_admin:
        raise ApiError(ErrorCode.AUTH_FORBIDDEN)
    return caller


CurrentCaller = Annotated[Caller, Depends(current_caller)]
CurrentAdmin = Annotated[Caller, Depends(current_admin)]


async def _client_address(request: Request) -> str:
    return client_address(request)


ClientAddress = Annotated[str, Depends(_client_address)]
"""The client's address."""


async def acting_admin(admin: CurrentAdmin, address: ClientAddress) -> Admin:
    """Return the caller of a route for administrators in the form that the audit log records."""
    return Admin(admin.user_id, address)


ActingAdmin = Annotated[Admin, Depends(acting_admin)]
"""The calling administrator with the client's address; all other callers get AUTH_FORBIDDEN."""


class ProtectedRoute(APIRoute):
    """A route that has its security schemes in the API's documentation only: resolving them takes time."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of requests."""
        documented = self.dependant
        called = [each for each in documented.dependencies if not isinstance(each.call, _Documented)]
        self.dependant = replace(documented, dependencies=called)
        try:
            return super().get_route_handler()
        finally:
            self.dependant = documented


def protected_router() -> APIRouter:
    """Return a router whose routes answer 401 without credentials."""
    return APIRouter(
        dependencies=[_BEARER, _PASSWORD, _BASIC, _COOKIE, Depends(current_caller)], route_class=ProtectedRoute
    )
