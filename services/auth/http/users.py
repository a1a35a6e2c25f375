"""Routes of accounts: the caller's own, and all accounts for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from kit.auth.authentication import CurrentCaller, client_address, protected_router
from kit.errors import ErrorCode
from kit.web.app import join_routers
from kit.web.schemas import Page, Paging, errors, paging
from services.auth.domain import Role, Status, searchable
from services.auth.http.common import AdminActor, SearchText, Uploads, own_view
from services.auth.repository import UserFilter
from services.auth.schemas import NewUser, OwnChange, OwnUserView, ResetCodeView, UserChangeRequest, UserView
from services.auth.service import Accounts, Actor, Administration, UserChange


def build_router(accounts: Accounts, administration: Administration, uploads: Uploads) -> APIRouter:
    """Return the routes under `/api/users`."""
    return join_routers(_own(accounts, uploads), _all(accounts, administration))


def _own(accounts: Accounts, uploads: Uploads) -> APIRouter:
    router = protected_router()

    # The account may be gone while its token still holds, for a few seconds.
    @router.get("/api/users/me", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def me(caller: CurrentCaller) -> OwnUserView:
        """Return the caller's own account."""
        return own_view(await accounts.get(caller.user_id), uploads)

    @router.patch(
        "/api/users/me",
        responses=errors(ErrorCode.AUTH_WRONG_PASSWORD, ErrorCode.AUTH_RATE_LIMITED, ErrorCode.CONTENT_NOT_FOUND),
    )
    async def change_me(body: OwnChange, caller: CurrentCaller, request: Request) -> OwnUserView:
        """Change the caller's name or password. A new password needs the current one, and ends other login sessions."""
        user = None
        if body.new_password is not None and body.current_password is not None:
            user = await accounts.change_password(
                caller,
                body.current_password.get_secret_value(),
                body.new_password.get_secret_value(),
                client_address(request),
            )
        if body.display_name is not None:
            user = await accounts.rename(caller.user_id, body.display_name)
        return own_view(user or await accounts.get(caller.user_id), uploads)

    @router.delete(
        "/api/users/me", status_code=204, responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.AUTH_LAST_ADMIN)
    )
    async def leave(caller: CurrentCaller, request: Request) -> None:
        """Delete the caller's account and all their data in every service."""
        await accounts.erase(caller.user_id, Actor(caller.user_id, client_address(request)))

    return router


def _all(accounts: Accounts, administration: Administration) -> APIRouter:
    router = protected_router()

    @router.get("/api/users")
    async def list_users(
        admin: AdminActor,  # noqa: ARG001 - requires an administrator
        page: Annotated[Paging, Depends(paging)],
        query: SearchText = None,
        status: Annotated[Status | None, Query()] = None,
        role: Annotated[Role | None, Query()] = None,
        corporation_id: Annotated[str | None, Query(max_length=36, pattern=r"^[0-9a-f-]+$")] = None,
    ) -> Page[UserView]:
        """List accounts, newest first; `query` is a part of the login or the name. Administrators only."""
        wanted = UserFilter(searchable(query) if query else None, status, role, corporation_id)
        users, total = await administration.page(wanted, offset=page.offset, limit=page.page_size)
        items = [UserView.model_validate(user) for user in users]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    @router.post("/api/users", status_code=201, responses=errors(ErrorCode.AUTH_LOGIN_TAKEN))
    async def make_user(body: NewUser, admin: AdminActor) -> UserView:
        """Create an account that can be used at once. Administrators only."""
        user = await accounts.make(
            login_id=body.login_id,
            password=body.password.get_secret_value(),
            display_name=body.display_name,
            role=body.role,
            status="active",
            corporation_id=body.corporation_id,
            actor=admin,
        )
        return UserView.model_validate(user)

    @router.get("/api/users/{user_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def get_user(user_id: str, admin: AdminActor) -> UserView:  # noqa: ARG001 - requires one
        """Return an account. Administrators only."""
        return UserView.model_validate(await accounts.get(user_id))

    @router.patch("/api/users/{user_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.AUTH_LAST_ADMIN))
    async def change_user(user_id: str, body: UserChangeRequest, admin: AdminActor) -> UserView:
        """Change an account's name, role or corporation (null: the platform itself). Administrators only."""
        moves = "corporation_id" in body.model_fields_set
        change = UserChange(body.display_name, body.role, moves, body.corporation_id)
        return UserView.model_validate(await administration.change(user_id, change, admin))

    @router.delete(
        "/api/users/{user_id}",
        status_code=204,
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.AUTH_LAST_ADMIN),
    )
    async def delete_user(user_id: str, admin: AdminActor) -> None:
        """Delete an account and all its user's data in every service. Administrators only."""
        await accounts.erase(user_id, admin)

    @router.post("/api/users/{user_id}/approve", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def approve(user_id: str, admin: AdminActor) -> UserView:
        """Activate a pending or suspended account. Administrators only."""
        return UserView.model_validate(await administration.approve(user_id, admin))

    @router.post(
        "/api/users/{user_id}/suspend", responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.AUTH_LAST_ADMIN)
    )
    async def suspend(user_id: str, admin: AdminActor) -> UserView:
        """Suspend an account: its login sessions end everywhere within seconds. Administrators only."""
        return UserView.model_validate(await administration.suspend(user_id, admin))

    @router.post("/api/users/{user_id}/password-reset", status_code=201, responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def issue_reset_code(user_id: str, admin: AdminActor) -> ResetCodeView:
        """Issue a code for `POST /api/auth/reset`; it is shown only once. Administrators only."""
        return ResetCodeView.model_validate(await administration.issue_reset_code(user_id, admin))

    return router
