"""Finds out who is calling: Bearer token, Basic credentials or the cookie that login set.

Deny by default: routers are made by `protected_router`, and what is public says so by not using it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Protocol
from weakref import WeakValueDictionary

from fastapi import APIRouter, Depends, Request
from fastapi.openapi.models import APIKey, APIKeyIn, OAuthFlowPassword, OAuthFlows
from fastapi.openapi.models import HTTPBase as HTTPBaseModel
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security.base import SecurityBase

from kit.audit import Admin
from kit.auth.tokens import Caller, TokenVerifier
from kit.errors import BEARER, ApiError

ACCESS_COOKIE = "marquee_access"
"""Begins the name of the cookie that login sets; `_` and the installation's name follow. Cookies know no ports: without
that, two installations on one host would throw each other's out (RFC 6265, 8.5). Earlier versions set it bare."""
_MAX_TOKENS = 16
TOKEN_PATH = "/api/auth/token"  # noqa: S105 - an address
"""Where auth trades a login and password for tokens in the way of OAuth 2.0, so that API documentation can log in."""
CSRF_HEADER = "X-Requested-With"
"""A cross-site form can't send it, and a cross-site script may not: with a cookie, unsafe methods need it."""
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BASIC_CHALLENGE = 'Basic realm="marquee", charset="UTF-8"'
_BASIC_CACHE_SEC = 15.0
_BASIC_CACHE_ENTRIES = 1_000
_MAX_CREDENTIALS_CHARS = 2_000

VerifyBasic = Callable[[str, str, str], Awaitable[Caller]]
"""Takes login, password and client address; raises ApiError when they don't do."""


class Authenticate(Protocol):
    """What the HTTP edge needs to know about authentication."""

    async def __call__(self, request: Request) -> Caller:
        """Who is calling; raises ApiError."""

    def known(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Who makes a safe request with these header fields, when that is known without waiting; None says nothing."""


class Authenticator:
    """Turns a request's credentials into a `Caller`.

    Args:
        verifier: checks access tokens.
        verify_basic: checks a login and password; asked once per credentials and cache time.
    """

    def __init__(self, verifier: TokenVerifier, verify_basic: VerifyBasic) -> None:
        self._verifier = verifier
        self._verify_basic = verify_basic
        self._cache_key = secrets.token_bytes(32)
        self._basic: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._asking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._changes = 0

    async def __call__(self, request: Request) -> Caller:
        """Who is calling.

        Raises:
            ApiError: AUTH_INVALID_TOKEN without usable credentials; AUTH_USER_PENDING or AUTH_USER_SUSPENDED when the
                account may not be used; AUTH_FORBIDDEN for an unsafe request with a cookie and without its header.
        """
        try:
            caller = await self._identify(request)
        except ApiError as error:
            if error.entry.http_status == 401:  # noqa: PLR2004 - RFC 9110, 15.5.2
                error.challenges = challenges(request)
            raise
        if caller.status == "pending":
            raise ApiError("AUTH_USER_PENDING")
        if caller.status != "active":
            raise ApiError("AUTH_USER_SUSPENDED")
        return caller

    def revoke(self, login_session_id: str) -> None:
        """Refuses, from now on, the tokens of a login that was ended."""
        self._verifier.revoke(login_session_id)

    def revoke_account(self, user_id: str, least_version: int) -> None:
        """Relies on nothing that was learned of an account before its password, rights or existence changed.

        Args:
            user_id: the account.
            least_version: access tokens whose `ver` claim is lower are refused.
        """
        self._verifier.revoke_account(user_id, least_version)
        # An answer that is on its way may be from before.
        self._changes += 1
        for digest in [digest for digest, (caller, _) in self._basic.items() if caller.user_id == user_id]:
            del self._basic[digest]

    async def renew_keys(self) -> None:
        """Learns of keys that auth has withdrawn. Raises what `TokenVerifier.renew_keys` raises."""
        await self._verifier.renew_keys()

    def known(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Who makes a safe request (RFC 9110, 9.2.1), if the same credentials were seen before and still hold.

        Args:
            fields: the request's header fields, by lower-case name.
        """
        authorization = fields.get(b"authorization")
        if authorization is None:
            tokens = cookie_values(fields.get(b"cookie", b"").decode("latin-1"), ACCESS_COOKIE)
            callers = {caller for token in tokens if (caller := self._verifier.known(token))}
            caller = callers.pop() if len(callers) == 1 else None
        elif authorization[:7].lower() == b"bearer ":
            caller = self._verifier.known(authorization[7:].strip().decode("latin-1"))
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
                raise ApiError("AUTH_INVALID_TOKEN")
        if tokens := cookies_of(request, ACCESS_COOKIE):
            if request.method not in _SAFE_METHODS and CSRF_HEADER not in request.headers:
                raise ApiError("AUTH_FORBIDDEN", f"Requests with a cookie need the header {CSRF_HEADER}.")
            return await self._verify_one_of(tokens)
        raise ApiError("AUTH_INVALID_TOKEN")

    async def _verify_one_of(self, tokens: Sequence[str]) -> Caller:
        """Return who the first good token speaks for; the others are of other installations, or left over."""
        if len(tokens) > 1:
            # A token of another installation names an unknown key, for which auth would be asked.
            tokens = sorted(tokens, key=self._verifier.has_key_of, reverse=True)
        refusals: list[ApiError] = []
        for token in tokens:
            try:
                return await self._verifier.verify(token)
            except ApiError as error:
                refusals.append(error)
        # Of several reasons the one that says more: the token may be good but for it.
        raise next((error for error in refusals if error.code != "AUTH_INVALID_TOKEN"), refusals[0])

    async def _identify_basic(self, credentials: str, request: Request) -> Caller:
        digest = self._digest(credentials)
        if known := self._remembered(digest):
            return known
        login, password = parse_basic(credentials)
        # A downloader opens sixteen connections at once: the first one asks, the others wait for what it learns.
        async with self._asking.setdefault(digest, asyncio.Lock()):
            if known := self._remembered(digest):
                return known
            changes = self._changes
            caller = await self._verify_basic(login, password, client_address(request))
            if changes == self._changes:
                self._basic[digest] = caller, time.monotonic() + _BASIC_CACHE_SEC
                if len(self._basic) > _BASIC_CACHE_ENTRIES:
                    self._basic.popitem(last=False)
            return caller

    def _digest(self, credentials: str) -> bytes:
        return hmac.digest(self._cache_key, credentials.encode(), hashlib.sha256)

    def _remembered(self, digest: bytes) -> Caller | None:
        known = self._basic.get(digest)
        return known[0] if known and time.monotonic() < known[1] else None


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
    """Whether a request says who sends it, rightly or not. Tickets don't count: they are for media."""
    return any(
        name == b"authorization" or (name == b"cookie" and cookie_values(value.decode("latin-1"), ACCESS_COOKIE))
        for name, value in headers
    )


def parse_basic(credentials: str) -> tuple[str, str]:
    """Login and password of Basic credentials (RFC 7617, UTF-8).

    Raises:
        ApiError: AUTH_INVALID_CREDENTIALS when they are malformed.
    """
    if len(credentials) > _MAX_CREDENTIALS_CHARS:
        raise ApiError("AUTH_INVALID_CREDENTIALS")
    try:
        login, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError as error:  # no Base64, no ASCII or no UTF-8
        raise ApiError("AUTH_INVALID_CREDENTIALS") from error
    if not colon:
        raise ApiError("AUTH_INVALID_CREDENTIALS")
    return login, password


def challenges(request: Request) -> tuple[str, ...]:
    """The challenges of a 401; scripts of a page get no Basic challenge, so that no browser pops up."""
    return (BEARER,) if CSRF_HEADER in request.headers else (BEARER, _BASIC_CHALLENGE)


def client_address(request: Request) -> str:
    """The address of the client as far as trusted proxies tell."""
    return request.client.host if request.client else ""


class _Documented(SecurityBase):
    """Names a way to authenticate in the API's documentation; `Authenticator` does the work."""

    def __init__(self, name: str, model: SecurityModel) -> None:
        self.scheme_name = name
        self.model = model

    async def __call__(self) -> None:
        """Leaves the credentials alone."""


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
    """The caller of a protected route."""
    authenticate: Authenticate = request.app.state.authenticate
    known: Caller | None = getattr(request.state, "caller", None)
    if known is None:
        # Asked once a request: a wrong password is counted.
        refused: ApiError | None = getattr(request.state, "caller_error", None)
        if refused is not None:
            raise refused
        try:
            known = request.state.caller = await authenticate(request)
        except ApiError as error:
            request.state.caller_error = error
            raise
    return known


async def caller_or_none(request: Request) -> Caller | None:
    """The caller, where the credentials are good; the route, if it is a protected one, refuses others by itself."""
    try:
        return await current_caller(request)
    except ApiError:
        return None


async def current_admin(caller: Annotated[Caller, Depends(current_caller)]) -> Caller:
    """The caller of a route for administrators.

    Raises:
        ApiError: AUTH_FORBIDDEN for everybody else.
    """
    if not caller.is_admin:
        raise ApiError("AUTH_FORBIDDEN")
    return caller


CurrentCaller = Annotated[Caller, Depends(current_caller)]
CurrentAdmin = Annotated[Caller, Depends(current_admin)]
ClientAddress = Annotated[str, Depends(client_address)]
"""From where a request comes."""


async def acting_admin(admin: CurrentAdmin, address: ClientAddress) -> Admin:
    """The caller of a route for administrators, as the audit log wants to know them."""
    return Admin(admin.user_id, address)


ActingAdmin = Annotated[Admin, Depends(acting_admin)]
"""The administrator who calls, and from where; everybody else gets AUTH_FORBIDDEN."""


def protected_router() -> APIRouter:
    """A router whose routes answer 401 without credentials."""
    return APIRouter(dependencies=[_BEARER, _PASSWORD, _BASIC, _COOKIE, Depends(current_caller)])
