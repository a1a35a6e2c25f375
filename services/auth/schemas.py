"""Shapes of auth's HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from kit.http import Schema, View
from pydantic import AfterValidator, Field, SecretStr

from services.auth.domain import MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, Role, Status, login_problem


def _usable_login(login_id: str) -> str:
    if problem := login_problem(login_id):
        raise ValueError(problem)
    return login_id


class Registration(Schema):
    """A new account."""

    login_id: Annotated[str, Field(max_length=64), AfterValidator(_usable_login)]
    password: Annotated[SecretStr, Field(min_length=MIN_PASSWORD_CHARS, max_length=MAX_PASSWORD_CHARS)]
    display_name: Annotated[str, Field(min_length=1, max_length=100)]


class Credentials(Schema):
    """A login and a password, of any shape: a wrong one is wrong, not malformed."""

    login_id: Annotated[str, Field(max_length=256)]
    password: Annotated[SecretStr, Field(max_length=1024)]


class RefreshRequest(Schema):
    """A refresh token, for clients without cookies."""

    refresh_token: Annotated[str, Field(max_length=256)] | None = None


class UserView(View):
    """An account as others may see it."""

    id: str
    login_id: str
    display_name: str
    role: Role
    status: Status
    corporation_id: str | None
    created_at: datetime


class OwnUserView(UserView):
    """An account as its owner sees it."""

    can_upload: bool


class Tokens(View):
    """What a login or a refresh gives; a browser gets the tokens as cookies too."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a type, no secret
    expires_in: int = Field(description="Life of the access token, in seconds.")
    user: OwnUserView


class CheckResult(View):
    """The answer to a check of credentials."""

    ok: Literal[True] = True
    user: OwnUserView
