"""Dependencies and views that the routes share."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query, Request

from kit.auth.authentication import CurrentAdmin, client_address
from services.auth.models import User
from services.auth.schemas import OwnUserView, UserView
from services.auth.service import Actor

Uploads = Literal["admin", "members"]


async def _admin_actor(admin: CurrentAdmin, request: Request) -> Actor:
    return Actor(admin.user_id, client_address(request))


AdminActor = Annotated[Actor, Depends(_admin_actor)]
"""The administrator who calls; other callers get AUTH_FORBIDDEN."""

SearchText = Annotated[str | None, Query(max_length=400, pattern=r"^[^\x00]*$")]
"""Without NUL, which some databases refuse in a query."""


def user_agent(request: Request) -> str:
    """Return the program that calls, as it names itself; empty without a name."""
    return request.headers.get("User-Agent", "")


def own_view(user: User, uploads: Uploads) -> OwnUserView:
    """Return an account as its owner sees it."""
    plain = UserView.model_validate(user).model_dump()
    return OwnUserView(**plain, can_upload=user.role == "admin" or uploads == "members")
