"""Settings of auth."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from kit.settings import BrokerSettings, DatabaseSettings, ServiceSettings, SettingsError
from services.auth.credentials.passwords import common_passwords
from services.auth.domain import login_problem, password_problem


class AuthSettings(ServiceSettings, DatabaseSettings, BrokerSettings):
    """Settings of auth."""

    admin_login: str = Field("admin", description="Login of the first administrator, created if there are no accounts.")
    admin_password: SecretStr | None = Field(
        None, description="Password of the first administrator; needed for the first start only."
    )
    registration: Literal["open", "approval", "closed"] = Field(
        "approval", description="Whether people may create accounts: at once, after an approval, or not at all."
    )
    uploads: Literal["admin", "members"] = Field("admin", description="Who may upload videos.")
    signing_key_file: Path = Field(
        ..., description="Private keys of access tokens, a JSON Web Key Set; created if it is missing."
    )
    redis_url: str | None = Field(
        None, description="`redis://…` counts login attempts for all replicas; without it, each process counts its own."
    )
    redis_password: SecretStr | None = Field(
        None, description="Password of Redis, with any characters; instead of one in the URL."
    )
    password_pepper: SecretStr = Field(
        SecretStr(""), description="A secret mixed into password hashes; changing it voids every password."
    )
    password_pepper_file: Path | None = Field(
        None, description="A file with that secret, instead of the secret itself; white space around it is ignored."
    )
    bcrypt_cost: int = Field(12, ge=4, le=16, description="Work factor of password hashes, a power of two.")
    access_ttl_sec: int = Field(900, ge=60, le=86_400, description="Life of an access token, in seconds.")
    refresh_ttl_sec: int = Field(604_800, ge=300, le=31_536_000, description="Life of a refresh token, in seconds.")
    login_attempts: int = Field(10, ge=1, description="Failed logins of one account from one address in five minutes.")
    login_attempts_per_address: int = Field(30, ge=1, description="Failed logins from one address in five minutes.")
    login_attempts_per_account: int = Field(
        100, ge=1, description="Failed logins of one account from all addresses in an hour; a fifth from one address."
    )
    reset_ttl_sec: int = Field(
        86_400, ge=300, le=604_800, description="Life of a code for a lost password, in seconds."
    )
    audit_retention_days: int = Field(365, ge=1, le=3650, description="How long entries of the audit log are kept.")
    alert_login_failures: int = Field(
        100, ge=1, description="Failed logins in five minutes, of all accounts, that raise an alert."
    )
    alert_webhook_url: SecretStr | None = Field(
        None, description="Where alerts are posted as JSON: `https://…` or `http://…`; without it, none are sent."
    )

    @field_validator("admin_login")
    @classmethod
    def _usable_login(cls, login: str) -> str:
        if problem := login_problem(login):
            raise ValueError(problem)
        return login

    @field_validator("admin_password")
    @classmethod
    def _usable_password(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None and (problem := password_problem(password.get_secret_value(), "", common_passwords())):
            raise ValueError(problem)
        return password

    @field_validator("alert_webhook_url")
    @classmethod
    def _usable_webhook(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            parts = urlsplit(url.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
                raise ValueError("must look like https://host/path, without a password")
        return url

    @field_validator("password_pepper_file")
    @classmethod
    def _one_pepper(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        pepper: SecretStr | None = info.data.get("password_pepper")
        if path is not None and pepper is not None and pepper.get_secret_value():
            raise ValueError("must not be set beside MARQUEE_PASSWORD_PEPPER")
        return path

    @field_validator("refresh_ttl_sec")
    @classmethod
    def _outlives_access(cls, seconds: int, info: ValidationInfo) -> int:
        # A login session is forgotten with its refresh tokens, but its end must be known while its access tokens live.
        if seconds < info.data.get("access_ttl_sec", 0):
            raise ValueError("must not be less than MARQUEE_ACCESS_TTL_SEC")
        return seconds

    def pepper(self) -> str:
        """Return the secret that is mixed into password hashes; empty if none is set.

        Raises:
            SettingsError: the file with the secret can't be read, or is empty.
        """
        if self.password_pepper_file is None:
            return self.password_pepper.get_secret_value()
        try:
            pepper = self.password_pepper_file.read_text().strip()
        except (OSError, ValueError) as error:
            raise SettingsError(f"MARQUEE_PASSWORD_PEPPER_FILE can't be read ({error}).") from error
        if not pepper:
            raise SettingsError("MARQUEE_PASSWORD_PEPPER_FILE can't be used: it is empty.")
        return pepper

    @field_validator("redis_url")
    @classmethod
    def _usable_redis_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("redis://", "rediss://")):
            raise ValueError("must begin with redis:// or rediss://")
        return url
