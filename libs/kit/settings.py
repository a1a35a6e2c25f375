"""Typed settings from `MARQUEE_*` environment variables; a bad value stops the start with a message that names it."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from kit.web.addresses import parse_networks

PREFIX = "MARQUEE_"
SECRETS = Path("/run/secrets")
"""Where containers have secrets as files, each named as the variable that it stands for."""
S = TypeVar("S", bound="PrefixedSettings")


class PrefixedSettings(BaseSettings):
    """Base of all settings, mix-ins too: of several bases, the last one's configuration would win over the others'."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        # Compose writes `NAME: ${NAME:-}` for what isn't set: an empty value is none.
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        # An invalid URL may hold a password.
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _passwords_into_urls(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Put `database_password` into `database_url`, quoted, and so on."""
        for name in [name for name in values if name.endswith("_password")]:
            address = name.removesuffix("_password") + "_url"
            if values[name] and values.get(address):
                secret = values[name]
                password = secret.get_secret_value() if isinstance(secret, SecretStr) else str(secret)
                values = {**values, address: add_password(str(values[address]), password)}
        return values


def add_password(url: str, password: str) -> str:
    """Return a URL with this password instead of its own, which may be there unquoted."""
    scheme, separator, rest = url.partition("://")
    user, _, place = rest.rpartition("@")
    return f"{scheme}{separator}{user.partition(':')[0]}:{quote(password, safe='')}@{place}"


class ServiceSettings(PrefixedSettings):
    """Settings of every service."""

    http_host: str = Field(
        "127.0.0.1",
        description="Addresses the HTTP server listens on, separated by commas; `::` is all of IPv6 and IPv4.",
    )
    http_port: int = Field(8080, ge=0, le=65535, description="Port the HTTP server listens on; 0 takes a free one.")
    http_workers: int = Field(
        1, ge=1, le=256, description="Processes that share the HTTP port, each with all that a process has."
    )
    request_timeout_sec: float = Field(
        30,
        gt=0,
        le=3600,
        description="Seconds in which the head of a request must be there, and that its body may pause.",
    )
    grpc_bind: str = Field("127.0.0.1:50051", description="Where gRPC listens: `host:port` or `unix:/path`.")
    auth_address: str = Field("127.0.0.1:50051", description="gRPC address of auth.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level logged.")
    log_format: Literal["json", "text"] = Field("json", description="One JSON object a line, or text for people.")
    trusted_proxies: str = Field(
        "",
        description="Networks of the proxies in front, separated by commas (`10.0.0.0/8,fd00::/8`): their "
        "`X-Forwarded-For` and `X-Forwarded-Proto` are trusted, and those of no other peer.",
    )
    rate_limit_per_min: int = Field(
        100,
        ge=1,
        le=999_999,
        description="API requests a minute of one login; of one address, without credentials or with wrong ones. Media "
        "are not counted.",
    )
    user_rate_limit_per_min: int = Field(
        1200,
        ge=1,
        le=999_999,
        description="Requests a minute of one user, also for artwork, subtitles, uploads, heartbeats and progress.",
    )
    drain_notice_sec: float = Field(
        0, ge=0, le=300, description="Seconds at a stop in which the service is not ready any more but still answers."
    )
    drain_sec: float = Field(10, ge=0, le=3600, description="Seconds that work in hand gets to finish at a stop.")

    @field_validator("trusted_proxies")
    @classmethod
    def _known_networks(cls, text: str) -> str:
        parse_networks(text)
        return text


class DatabaseSettings(PrefixedSettings):
    """Settings of services with a database."""

    database_url: str = Field(
        ..., description="`sqlite+aiosqlite:///path/to/file` or `postgresql+psycopg://user:password@host/database`."
    )

    database_password: SecretStr | None = Field(
        None, description="Password of the database's user, with any characters; instead of one in the URL."
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        return check_database_url(url)


def check_database_url(url: str) -> str:
    """Return a database's URL. Raise ValueError for one of another database."""
    if not url.startswith(("sqlite+aiosqlite://", "postgresql+psycopg://")):
        raise ValueError("must begin with sqlite+aiosqlite:// or postgresql+psycopg://")
    return url


class BrokerSettings(PrefixedSettings):
    """Settings of services that publish or consume events."""

    broker_url: str = Field(..., description="`amqp://user:password@host:5672/` (or `amqps://`) of RabbitMQ.")
    broker_password: SecretStr | None = Field(
        None, description="Password of RabbitMQ's user, with any characters; instead of one in the URL."
    )

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, url: str) -> str:
        if not url.startswith(("amqp://", "amqps://", "local:")):
            raise ValueError("must begin with amqp:// or amqps://")
        return url


class MediaSettings(PrefixedSettings):
    """Settings of services that use the media store."""

    media_url: str = Field(..., description="Where media files are: `file:///absolute/folder`.")

    @field_validator("media_url")
    @classmethod
    def _known_store(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
            raise ValueError("must look like file:///absolute/folder")
        return url

    @property
    def media_root(self) -> Path:
        """Return the folder of a `file://` store."""
        return Path(unquote(urlsplit(self.media_url).path))


class SettingsError(Exception):
    """The settings are invalid; the text is one sentence for the operator."""


def load(cls: type[S], /, **overrides: Any) -> S:
    """Read the settings of one service from the environment, and from files in `SECRETS` where it lacks them.

    Args:
        cls: the service's settings class.
        overrides: values that win over the environment.

    Raises:
        SettingsError: a value is missing or invalid; the text names the variable.
    """
    try:
        # The plugin of mypy does not know this argument.
        return cls(_secrets_dir=SECRETS if SECRETS.is_dir() else None, **overrides)  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        if first["type"] == "missing":
            field = cls.model_fields.get(str(first["loc"][0]))
            raise SettingsError(f"{name} is not set. {field.description if field else ''}".strip()) from error
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise SettingsError(f"{name} can't be used: {reason[:1].lower()}{reason[1:]}.") from error


def names(classes: Iterable[type[BaseSettings]]) -> set[str]:
    """Return the environment variables that settings classes read."""
    return {PREFIX + field.upper() for cls in classes for field in cls.model_fields}


def refuse_typos(known: set[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Look for variables with the prefix that no settings class reads.

    Returns:
        Unknown names that resemble no known one, for a warning: they may belong to another version.

    Raises:
        SettingsError: a name looks like a misspelt one.
    """
    strangers = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    for name in strangers:
        if close := difflib.get_close_matches(name, known, n=1, cutoff=0.9):
            raise SettingsError(f"{name} is not a setting; did you mean {close[0]}?")
    return strangers


def stop_start(error: SettingsError) -> None:
    """End the process with the error's text and exit status 2."""
    sys.stderr.write(f"marquee: {error}\n")
    raise SystemExit(2)
