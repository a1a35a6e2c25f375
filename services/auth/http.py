"""HTTP API of auth: translates, decides nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from kit.callers import ACCESS_COOKIE, CSRF_HEADER, CurrentAdmin, CurrentCaller, client_address, protected_router
from kit.errors import ApiError
from kit.http import Page, Paging, errors, paging
from services.auth.domain import Status
from services.auth.models import User
from services.auth.schemas import (
    CheckResult,
    Credentials,
    OwnUserView,
    RefreshRequest,
    Registration,
    Tokens,
    UserView,
)
from services.auth.service import Accounts, Logins, TokenPair

REFRESH_COOKIE = "marquee_refresh"
REFRESH_PATH = "/api/auth"


def build_routers(
    accounts: Accounts,
    logins: Logins,
    *,
    registration: Literal["open", "approval", "closed"],
    uploads: Literal["admin", "members"],
) -> dict[str, APIRouter]:
    """The routes of auth, by tag."""
    return {
        "auth": _auth_router(accounts, logins, registration, uploads),
        "users": _users_router(accounts, uploads),
    }


def _own_view(user: User, uploads: Literal["admin", "members"]) -> OwnUserView:
    plain = UserView.model_validate(user).model_dump()
    return OwnUserView(**plain, can_upload=user.role == "admin" or uploads == "members")


def _auth_router(  # noqa: C901 - routes side by side
    accounts: Accounts,
    logins: Logins,
    registration: Literal["open", "approval", "closed"],
    uploads: Literal["admin", "members"],
) -> APIRouter:
    public = APIRouter()

    def answer(pair: TokenPair, request: Request, response: Response) -> Tokens:
        for name, value, path, life in (
            (ACCESS_COOKIE, pair.access_token, "/", pair.access_ttl_sec),
            (REFRESH_COOKIE, pair.refresh_token, REFRESH_PATH, pair.refresh_ttl_sec),
        ):
            response.set_cookie(
                name,
                value,
                max_age=life,
                path=path,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return Tokens(
            access_token=pair.access_token,
            refresh_token=pair.refresh_token,
            expires_in=pair.access_ttl_sec,
            user=_own_view(pair.user, uploads),
        )

    @public.post(
        "/api/auth/register", status_code=201, responses=errors("AUTH_REGISTRATION_CLOSED", "AUTH_LOGIN_TAKEN")
    )
    async def register(body: Registration) -> UserView:
        """Makes an account; an administrator may have to approve it before it can be used."""
        user = await accounts.register(
            login_id=body.login_id,
            password=body.password.get_secret_value(),
            display_name=body.display_name,
            registration=registration,
        )
        return UserView.model_validate(user)

    @public.post(
        "/api/auth/login",
        responses=errors("AUTH_INVALID_CREDENTIALS", "AUTH_USER_PENDING", "AUTH_USER_SUSPENDED", "AUTH_RATE_LIMITED"),
    )
    async def login(body: Credentials, request: Request, response: Response) -> Tokens:
        """Trades a login and password for tokens, and sets them as cookies."""
        pair = await logins.log_in(body.login_id, body.password.get_secret_value(), client_address(request))
        return answer(pair, request, response)

    @public.post("/api/auth/refresh", responses=errors("AUTH_INVALID_TOKEN", "AUTH_TOKEN_EXPIRED"))
    async def refresh(
        request: Request, response: Response, body: Annotated[RefreshRequest | None, Body()] = None
    ) -> Tokens:
        """Trades a refresh token, from the body or the cookie, for a new pair. The old one is void from then on."""
        token = body.refresh_token if body else None
        if token is None:
            token = request.cookies.get(REFRESH_COOKIE)
            if token and CSRF_HEADER not in request.headers:
                raise ApiError("AUTH_FORBIDDEN", f"Requests with a cookie need the header {CSRF_HEADER}.")
        if not token:
            raise ApiError("AUTH_INVALID_TOKEN")
        return answer(await logins.refresh(token), request, response)

    @public.post("/api/auth/check", responses=errors("AUTH_INVALID_CREDENTIALS", "AUTH_RATE_LIMITED"))
    async def check(body: Credentials, request: Request) -> CheckResult:
        """Says whether a login and password are right; gives no token."""
        user = await logins.verify(body.login_id, body.password.get_secret_value(), client_address(request))
        return CheckResult(user=_own_view(user, uploads))

    @public.get("/.well-known/jwks.json", include_in_schema=False)
    async def jwks() -> dict[str, object]:
        return logins.jwks()

    protected = protected_router()

    @protected.post("/api/auth/logout", status_code=204)
    async def logout(caller: CurrentCaller, response: Response) -> None:
        """Ends this login: its refresh tokens are void and the cookies gone."""
        if caller.session_id:
            await logins.log_out(caller.user_id, caller.session_id)
        response.delete_cookie(ACCESS_COOKIE, path="/", httponly=True, samesite="strict")
        response.delete_cookie(REFRESH_COOKIE, path=REFRESH_PATH, httponly=True, samesite="strict")

    public.include_router(protected)
    return public


def _users_router(accounts: Accounts, uploads: Literal["admin", "members"]) -> APIRouter:
    router = protected_router()

    @router.get("/api/users/me")
    async def me(caller: CurrentCaller) -> OwnUserView:
        """The caller's own account."""
        return _own_view(await accounts.get(caller.user_id), uploads)

    @router.get("/api/users")
    async def list_users(
        admin: CurrentAdmin,  # noqa: ARG001 - being an administrator is what counts
        page: Annotated[Paging, Depends(paging)],
        status: Annotated[Status | None, Query()] = None,
    ) -> Page[UserView]:
        """Accounts, newest first. Administrators only."""
        users, total = await accounts.page(status=status, offset=page.offset, limit=page.page_size)
        items = [UserView.model_validate(user) for user in users]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    @router.post("/api/users/{user_id}/approve", responses=errors("CONTENT_NOT_FOUND"))
    async def approve(user_id: str, admin: CurrentAdmin) -> UserView:  # noqa: ARG001 - being one is what counts
        """Lets a pending account in. Administrators only."""
        return UserView.model_validate(await accounts.approve(user_id))

    return router
