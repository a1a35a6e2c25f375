"""Routes of the caller's own login sessions."""

from __future__ import annotations

from fastapi import APIRouter, Request

from kit.auth.authentication import CurrentCaller, client_address, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import errors
from services.auth.schemas import LoginSessions, LoginSessionView
from services.auth.service import Logins


def build_router(logins: Logins) -> APIRouter:
    """Return the routes under `/api/users/me/login-sessions`."""
    router = protected_router()

    @router.get("/api/users/me/login-sessions")
    async def list_own(caller: CurrentCaller) -> LoginSessions:
        """List where the caller is logged in, the last used first. Basic credentials have no login session."""
        found = await logins.own_sessions(caller.user_id, caller.login_session_id)
        return LoginSessions(items=[LoginSessionView.model_validate(each) for each in found])

    @router.delete(
        "/api/users/me/login-sessions/{session_id}", status_code=204, responses=errors(ErrorCode.CONTENT_NOT_FOUND)
    )
    async def end(session_id: str, caller: CurrentCaller, request: Request) -> None:
        """End a login session of the caller, on whichever device; its tokens are refused within seconds."""
        await logins.end_own_session(caller.user_id, session_id, client_address(request))

    return router
