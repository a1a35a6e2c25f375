"""Shapes of auth's HTTP API."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from kit.web.schemas import Schema, View
from services.auth.domain import (
    MAX_LOGIN_CHARS,
    MAX_PASSWORD_BYTES,
    MIN_PASSWORD_CHARS,
    Plan,
    Role,
    Status,
    login_problem,
    name_problem,
    searchable,
)

MAX_CORPORATION_KEY_CHARS = 200


def _usable_login(login_id: str) -> str:
    if problem := login_problem(login_id):
        raise ValueError(problem)
    return login_id


def _read_json(text: str) -> Any:
    return json.loads(text)


def _usable_name(display_name: str) -> str:
    if problem := name_problem(display_name):
        raise ValueError(problem)
    return display_name


def _usable_corporation(name: str) -> str:
    if not 1 <= len(searchable(name)) <= MAX_CORPORATION_KEY_CHARS:
        raise ValueError(f"must have 1 to {MAX_CORPORATION_KEY_CHARS} characters in normalised form")
    return name


_Trimmed = Annotated[str, StringConstraints(strip_whitespace=True)]
_NewPassword = Annotated[SecretStr, Field(min_length=MIN_PASSWORD_CHARS, max_length=MAX_PASSWORD_BYTES)]
"""The use cases refuse common passwords as well, because that check needs the login."""
_Login = Annotated[_Trimmed, Field(max_length=MAX_LOGIN_CHARS), AfterValidator(_usable_login)]
_Name = Annotated[_Trimmed, AfterValidator(_usable_name)]
_AS_TYPED = ConfigDict(str_strip_whitespace=False)
"""Spaces around a password are part of it: Basic credentials carry them too."""


class Registration(Schema):
    """A new account."""

    model_config = _AS_TYPED

    login_id: _Login
    password: _NewPassword
    display_name: _Name


class NewUser(Registration):
    """A new account, created by an administrator."""

    role: Role = "member"
    corporation_id: Annotated[str, Field(max_length=36)] | None = None


class OwnChange(Schema):
    """Changes of the caller's own account; fields that are absent stay as they are."""

    model_config = _AS_TYPED

    display_name: _Name | None = None
    current_password: Annotated[SecretStr, Field(max_length=1024)] | None = None
    new_password: _NewPassword | None = None

    @model_validator(mode="after")
    def _both_passwords(self) -> Self:
        if (self.new_password is None) != (self.current_password is None):
            raise ValueError("current_password and new_password go together")
        return self


class UserChangeRequest(Schema):
    """Changes of an account by an administrator; fields that are absent stay as they are."""

    display_name: _Name | None = None
    role: Role | None = None
    corporation_id: Annotated[str, Field(max_length=36)] | None = None
    """Null makes the account a member of the platform itself."""


class PasswordResetRequest(Schema):
    """A new password, and the code that allows it."""

    model_config = _AS_TYPED

    code: Annotated[str, Field(max_length=100)]
    password: _NewPassword


class CorporationNaming(Schema):
    """The name of a corporation."""

    name: Annotated[_Name, AfterValidator(_usable_corporation)]


class PlanChange(Schema):
    """The plan of a corporation."""

    plan: Plan
    expires_at: AwareDatetime | None = Field(None, description="When a paid plan ends; never when absent.")


class Credentials(Schema):
    """A login and a password of any form: impossible ones are wrong credentials, not malformed requests."""

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


class LoginSessionView(View):
    """A login session of the caller: a browser or an app that is logged in."""

    id: str
    is_current: bool = Field(description="Whether this request belongs to it.")
    began_at: datetime
    last_used_at: datetime = Field(description="When its tokens were renewed last.")
    user_agent: str = Field(description="The program, as it names itself; empty while unknown.")
    client_address: str = Field(description="From where its tokens were renewed last; empty while unknown.")


class LoginSessions(View):
    """The login sessions of the caller."""

    items: list[LoginSessionView]


class Tokens(View):
    """The result of a login or a refresh; a browser gets the tokens as cookies too."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a type, no secret
    expires_in: int = Field(description="Life of the access token, in seconds.")
    user: OwnUserView


class OAuthTokens(View):
    """The response of the OAuth token endpoint (RFC 6749, 5.1)."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a type, no secret
    expires_in: int = Field(description="Life of the access token, in seconds.")


class ResetCodeView(View):
    """A one-time code to choose a new password with."""

    code: str
    expires_at: datetime


class CorporationView(View):
    """A corporation."""

    id: str
    name: str
    plan: Plan = Field(description="The plan in effect now.")
    plan_expires_at: datetime | None
    created_at: datetime


class AuditView(View):
    """An entry of the audit log."""

    id: str
    at: datetime
    action: str
    actor_id: str | None
    target_kind: str
    target_id: str | None
    client_address: str
    details: Annotated[dict[str, Any], BeforeValidator(_read_json)]


class CheckResult(View):
    """The response to a check of credentials."""

    ok: Literal[True] = True
    user: OwnUserView
