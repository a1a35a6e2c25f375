"""Shapes of auth's HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, StringConstraints

from kit.http import Schema, View
from services.auth.domain import (
    MAX_LOGIN_CHARS,
    MAX_PASSWORD_CHARS,
    MIN_PASSWORD_CHARS,
    Role,
    Status,
    login_problem,
    name_problem,
)


def _usable_login(login_id: str) -> str:
    if problem := login_problem(login_id):
        raise ValueError(problem)
    return login_id


def _usable_name(display_name: str) -> str:
    if problem := name_problem(display_name):
        raise ValueError(problem)
    return display_name


_Trimmed = Annotated[str, StringConstraints(strip_whitespace=True)]
_AS_TYPED = ConfigDict(str_strip_whitespace=False)
"""Spaces around a password belong to it: Basic credentials carry them too."""


class Registration(Schema):
    """A new account."""

    model_config = _AS_TYPED

    login_id: Annotated[_Trimmed, Field(max_length=MAX_LOGIN_CHARS), AfterValidator(_usable_login)]
    password: Annotated[SecretStr, Field(min_length=MIN_PASSWORD_CHARS, max_length=MAX_PASSWORD_CHARS)]
    display_name: Annotated[_Trimmed, AfterValidator(_usable_name)]


class Credentials(Schema):
    """A login and a password, of any shape: a wrong one is wrong, not malformed."""

    model_config = _AS_TYPED

    login_id: Annotated[_Trimmed, Field(max_length=256)]
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
