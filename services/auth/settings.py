"""Settings of auth."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from kit.settings import BrokerSettings, DatabaseSettings, ServiceSettings
from services.auth.domain import MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, login_problem


class AuthSettings(ServiceSettings, DatabaseSettings, BrokerSettings):
    """What auth is told."""

    admin_login: str = Field("admin", description="Login of the first administrator, made when there are no accounts.")
    admin_password: SecretStr | None = Field(
        None, description="Password of the first administrator; needed for the first start only."
    )
    registration: Literal["open", "approval", "closed"] = Field(
        "approval", description="Whether people may make accounts: at once, after an approval, or not at all."
    )
    uploads: Literal["admin", "members"] = Field("admin", description="Who may upload videos.")
    signing_key_file: Path = Field(
        ..., description="Private keys of access tokens, a JSON Web Key Set; made when it is not there."
    )
    redis_url: str | None = Field(
        None, description="`redis://…` counts login attempts for all replicas; this process's memory does without it."
    )
    password_pepper: SecretStr = Field(
        SecretStr(""), description="A secret mixed into password hashes; changing it voids every password."
    )
    bcrypt_cost: int = Field(12, ge=4, le=16, description="Work factor of password hashes, a power of two.")
    access_ttl_sec: int = Field(900, ge=60, le=86_400, description="Life of an access token, in seconds.")
    refresh_ttl_sec: int = Field(604_800, ge=300, le=31_536_000, description="Life of a refresh token, in seconds.")
    login_attempts: int = Field(10, ge=1, description="Failed logins of one account from one address in five minutes.")
    login_attempts_per_address: int = Field(30, ge=1, description="Failed logins from one address in five minutes.")

    @field_validator("admin_login")
    @classmethod
    def _usable_login(cls, login: str) -> str:
        if problem := login_problem(login):
            raise ValueError(problem)
        return login

    @field_validator("admin_password")
    @classmethod
    def _usable_password(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            raise ValueError(f"must have {MIN_PASSWORD_CHARS} to {MAX_PASSWORD_CHARS} characters")
        return password

    @field_validator("redis_url")
    @classmethod
    def _known_counter(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("redis://", "rediss://")):
            raise ValueError("must begin with redis:// or rediss://")
        return url
