"""Routes to log in and out, to renew tokens, to register and to reset a password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar
from urllib.parse import parse_qsl

from fastapi import APIRouter, Body, Request, Response
from pydantic import ValidationError

from kit.auth.authentication import CSRF_HEADER, TOKEN_PATH, CurrentCaller, client_address, protected_router
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.web.app import join_routers
from kit.web.schemas import Schema, errors
from services.auth.http.common import Uploads, own_view, user_agent
from services.auth.http.cookies import REFRESH_COOKIE, LoginCookies
from services.auth.schemas import (
    CheckResult,
    Credentials,
    OAuthTokens,
    PasswordResetRequest,
    RefreshRequest,
    Registration,
    Tokens,
    UserView,
)
from services.auth.service import Accounts, Actor, Installation, Logins, TokenPair

FORM_TYPE = "application/x-www-form-urlencoded"
FORM_FIELDS = 10
TOKEN_FORM = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "enum": ["password", "refresh_token"]},
        "username": {"type": "string", "maxLength": 256},
        "password": {"type": "string", "maxLength": 1024},
        "refresh_token": {"type": "string", "maxLength": 256},
        "scope": {"type": "string"},
        "client_id": {"type": "string"},
        "client_secret": {"type": "string"},
    },
}
"""Form fields of OAuth clients; scope and client are accepted and ignored."""
S = TypeVar("S", bound=Schema)


def build_router(  # noqa: C901 - routes side by side
    accounts: Accounts,
    logins: Logins,
    installation: Installation,
    registration: Literal["open", "approval", "closed"],
    uploads: Uploads,
) -> APIRouter:
    """Return the routes under `/api/auth`, and the published keys."""
    public = APIRouter()
    cookies = LoginCookies(installation)

    def answer(pair: TokenPair, request: Request, response: Response) -> Tokens:
        cookies.set_tokens(pair, request, response)
        return Tokens(
            access_token=pair.access_token,
            refresh_token=pair.refresh_token,
            expires_in=pair.access_ttl_sec,
            user=own_view(pair.user, uploads),
        )

    @public.post(
        "/api/auth/login",
        responses=errors(
            ErrorCode.AUTH_INVALID_CREDENTIALS,
            ErrorCode.AUTH_USER_PENDING,
            ErrorCode.AUTH_USER_SUSPENDED,
            ErrorCode.AUTH_RATE_LIMITED,
        ),
    )
    async def login(body: Credentials, request: Request, response: Response) -> Tokens:
        """Exchange a login and password for tokens, and set them as cookies."""
        device = cookies.known_device(request, body.login_id)
        pair = await logins.log_in(
            body.login_id,
            body.password.get_secret_value(),
            client_address(request),
            device,
            user_agent=user_agent(request),
        )
        cookies.remember_login(body.login_id, request, response)
        return answer(pair, request, response)

    @public.post(
        TOKEN_PATH,
        responses=errors(
            ErrorCode.AUTH_INVALID_CREDENTIALS,
            ErrorCode.AUTH_USER_PENDING,
            ErrorCode.AUTH_USER_SUSPENDED,
            ErrorCode.AUTH_RATE_LIMITED,
        ),
        openapi_extra={"requestBody": {"required": True, "content": {FORM_TYPE: {"schema": TOKEN_FORM}}}},
    )
    async def token(request: Request, response: Response) -> OAuthTokens:
        """Issue tokens to OAuth 2.0 clients and API documentation (RFC 6749, 4.3 and 6).

        Errors have this API's own form. The endpoint sets no cookies.
        """
        form = await _form(request)
        match form.get("grant_type"):
            case "password":
                given = _form_of(Credentials, {"login_id": form.get("username"), "password": form.get("password")})
                device = cookies.known_device(request, given.login_id)
                password = given.password.get_secret_value()
                pair = await logins.log_in(
                    given.login_id, password, client_address(request), device, user_agent=user_agent(request)
                )
            case "refresh_token":
                renewal = _form_of(RefreshRequest, {"refresh_token": form.get("refresh_token")})
                if not renewal.refresh_token:
                    raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
                pair = await logins.refresh(
                    renewal.refresh_token, client_address(request), user_agent=user_agent(request)
                )
            case _:
                raise invalid_field("grant_type", "must be password or refresh_token")
        response.headers["Cache-Control"] = "no-store"
        return OAuthTokens(
            access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.access_ttl_sec
        )

    @public.post("/api/auth/refresh", responses=errors(ErrorCode.AUTH_INVALID_TOKEN, ErrorCode.AUTH_TOKEN_EXPIRED))
    async def refresh(
        request: Request, response: Response, body: Annotated[RefreshRequest | None, Body()] = None
    ) -> Tokens:
        """Exchange a refresh token, from the body or the cookie, for a new pair. The old one becomes invalid."""
        token = body.refresh_token if body else None
        if token is None:
            kept = cookies.refresh_tokens(request)
            if kept and CSRF_HEADER not in request.headers:
                raise ApiError(ErrorCode.AUTH_FORBIDDEN, f"Requests with a cookie need the header {CSRF_HEADER}.")
            token = await logins.own_refresh_token(kept)
        if not token:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        return answer(
            await logins.refresh(token, client_address(request), user_agent=user_agent(request)), request, response
        )

    @public.post("/api/auth/check", responses=errors(ErrorCode.AUTH_INVALID_CREDENTIALS, ErrorCode.AUTH_RATE_LIMITED))
    async def check(body: Credentials, request: Request) -> CheckResult:
        """Check a login and password without issuing tokens."""
        device = cookies.known_device(request, body.login_id)
        user = await logins.verify(body.login_id, body.password.get_secret_value(), client_address(request), device)
        return CheckResult(user=own_view(user, uploads))

    protected = protected_router()

    @protected.post("/api/auth/logout", status_code=204)
    async def logout(caller: CurrentCaller, request: Request, response: Response) -> None:
        """End this login session: revoke its refresh tokens and delete the cookies."""
        if caller.login_session_id:
            await logins.log_out(caller.user_id, caller.login_session_id, client_address(request))
        bare = request.cookies.get(REFRESH_COOKIE, "")
        cookies.delete_tokens(request, response, bare_are_own=await logins.own_refresh_token([bare]) is not None)

    return join_routers(public, protected, _open_routes(accounts, logins, registration))


def _open_routes(accounts: Accounts, logins: Logins, registration: Literal["open", "approval", "closed"]) -> APIRouter:
    """Return the routes to register and to reset a password, and the keys for services."""
    public = APIRouter()

    @public.get("/.well-known/jwks.json", include_in_schema=False)
    async def jwks() -> dict[str, object]:
        return logins.jwks()

    @public.post(
        "/api/auth/register",
        status_code=201,
        responses=errors(ErrorCode.AUTH_REGISTRATION_CLOSED, ErrorCode.AUTH_LOGIN_TAKEN),
    )
    async def register(body: Registration, request: Request) -> UserView:
        """Create an account; an administrator may have to approve it before it can be used."""
        user = await accounts.register(
            login_id=body.login_id,
            password=body.password.get_secret_value(),
            display_name=body.display_name,
            registration=registration,
            actor=Actor(None, client_address(request)),
        )
        return UserView.model_validate(user)

    @public.post(
        "/api/auth/reset",
        status_code=204,
        responses=errors(ErrorCode.AUTH_RESET_CODE_INVALID, ErrorCode.AUTH_RATE_LIMITED),
    )
    async def reset(body: PasswordResetRequest, request: Request) -> None:
        """Set a new password with a code from an administrator. The code works once, and every login session ends."""
        await accounts.reset_password(body.code, body.password.get_secret_value(), client_address(request))

    return public


async def _form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form, each at most once (RFC 6749, 3.2)."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise invalid_field("body", f"must be {FORM_TYPE}")
    try:
        fields = parse_qsl(
            (await request.body()).decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise invalid_field("body", "must be a form in UTF-8") from error
    form = dict(fields)
    if len(form) < len(fields):
        raise invalid_field("body", "must have each field once")
    return form


def _form_of(schema: type[S], fields: Mapping[str, str | None]) -> S:
    """Validate fields of a form like those of a JSON body."""
    try:
        return schema.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise invalid_field(str(first["loc"][0]), str(first["msg"])) from error
