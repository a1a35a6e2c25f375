"""Settings of stream."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from kit.origins import BucketMediaSettings, OriginSettings
from kit.origins.references import parse_url
from kit.origins.sigv4 import MAX_EXPIRES_SEC
from kit.settings import BrokerSettings, PrefixedSettings, ServiceSettings, check_database_url
from services.stream.secret_files import decode_key


class ProtectionSettings(PrefixedSettings):
    """Settings of protected playback."""

    database_url: str | None = Field(
        None,
        description="`sqlite+aiosqlite:///path/to/file` or `postgresql+psycopg://user:password@host/database`, for keys"
        " and licences of protected films. Without it those are answered 503, and all others as with it.",
    )
    database_password: SecretStr | None = Field(
        None, description="Password of the database's user, with any characters; instead of one in the URL."
    )
    lsv_master_key: SecretStr | None = Field(
        None, description="The secret that wraps content keys in the database: base64 of 32 bytes; before the file."
    )
    lsv_master_key_file: Path | None = Field(
        None,
        description="A file with that secret, one for all replicas; made when it is not there. Without its secret no"
        " protected film can be played again: keep a copy.",
    )
    lsv_previous_master_keys: SecretStr = Field(
        SecretStr(""),
        description="Secrets that still unwrap content keys after a change of the first, separated by commas.",
    )
    offline_license_sec: int = Field(
        7 * 86_400,
        ge=3600,
        le=366 * 86_400,
        description="How long a protected film may be played without the network at most, in seconds (an hour to 366"
        " days); 7 days by default.",
    )
    offline_licenses_per_user: int = Field(
        20, ge=0, le=10_000, description="Licences of one user in force at a time (0 to 10,000); 0 gives none to any."
    )
    offline_licenses_per_video: int = Field(
        1000, ge=1, le=1_000_000, description="Licences of one film in force at a time (1 to 1,000,000)."
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str | None) -> str | None:
        return None if url is None else check_database_url(url)

    @field_validator("lsv_master_key")
    @classmethod
    def _a_whole_key(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            decode_key(secret.get_secret_value())
        return secret

    @field_validator("lsv_previous_master_keys")
    @classmethod
    def _whole_keys(cls, secrets: SecretStr) -> SecretStr:
        for text in _items(secrets):
            decode_key(text)
        return secrets

    def previous_master_keys(self) -> list[str]:
        """Return the secrets before the present one, as they are written."""
        return _items(self.lsv_previous_master_keys)


def _items(secrets: SecretStr) -> list[str]:
    return [text for text in secrets.get_secret_value().split(",") if text.strip()]


class StreamSettings(ServiceSettings, BrokerSettings, BucketMediaSettings, OriginSettings, ProtectionSettings):
    """Settings of stream."""

    catalog_address: str = Field("127.0.0.1:50051", description="gRPC address of catalog.")
    s3_redirect_sec: int = Field(
        0,
        ge=0,
        le=MAX_EXPIRES_SEC,
        description="Viewers fetch objects from S3 themselves, by addresses good for so many seconds; 0 relays them.",
    )
    s3_public_url: str | None = Field(
        None,
        description="Address of the S3 endpoint as viewers reach it, for those redirects, if it is another.",
    )
    read_threads: int = Field(
        16, ge=1, le=256, description="Threads that read media files: how many slow reads may wait side by side."
    )
    source_cache_sec: float = Field(
        60,
        ge=0,
        le=3600,
        description="Seconds for which what catalog answers about a video is kept; a change drops it at once.",
    )
    progress_address: str = Field("127.0.0.1:50051", description="gRPC address of progress, which counts views.")
    hot_cache_dir: Path | None = Field(
        None, description="A folder on a fast disk for copies of the films that many watch; replicas may share it."
    )
    hot_cache_bytes: int = Field(
        64 * 2**30,
        ge=2**20,
        le=2**60,
        description="What the copies may take, in bytes (1 MiB to 1 EiB); 64 GiB by default. At 95 % those not used for"
        " longest are evicted, down to 85 %.",
    )
    hot_cache_views: int = Field(
        5, ge=1, le=1_000_000, description="Views from which a film that is asked for gets a copy (1 to 1,000,000)."
    )
    hot_cache_days: int = Field(
        7, ge=1, le=7, description="Calendar days, today included, whose views count for that (1 to 7)."
    )
    hot_cache_copy_bytes_per_sec: int = Field(
        50 * 2**20,
        ge=2**16,
        le=2**40,
        description="How fast films are copied, and read back, in bytes a second (64 KiB to 1 TiB); 50 MiB by default.",
    )
    max_streams: int = Field(
        100, ge=1, le=100_000, description="Play sessions on the whole platform at a time (1 to 100,000)."
    )
    max_streams_per_user: int = Field(
        3, ge=1, le=100_000, description="Play sessions of one user at a time, waiting ones included (1 to 100,000)."
    )
    stream_queue: int = Field(
        50,
        ge=0,
        le=10_000,
        description="Viewers who may wait for a play session (0 to 10,000); 0 refuses at once.",
    )
    session_idle_sec: float = Field(
        30,
        ge=3,
        le=3600,
        description="Seconds without bytes and heartbeats after which a play session is over (3 to 3,600).",
    )
    fast_path: bool = Field(
        True,
        description="Answer requests for bytes whose caller, file and session are in memory without the framework."
        " Without it the answers are the same, and slower: turn it off to find out whether it is at fault.",
    )
    redis_url: str | None = Field(
        None,
        validate_default=True,
        description="`redis://…` (or `rediss://…`): play sessions of all replicas. Embedded mode keeps them in memory.",
    )
    redis_password: SecretStr | None = Field(
        None, description="Password of Redis, with any characters; instead of one in the URL."
    )
    ticket_key_file: Path = Field(
        ...,
        description="The secret that signs tickets of media URLs, one for all replicas; made when it is not there.",
    )
    stream_public_url: str = Field(
        "",
        description="Begins the `stream_url` of play sessions (`https://media.example.org`) where bytes have an address"
        " of their own; other origins may then read what has a ticket.",
    )

    @field_validator("s3_public_url")
    @classmethod
    def _known_public_endpoint(cls, url: str | None) -> str | None:
        if url is not None:
            parse_url(url)
        return url

    @field_validator("redis_url")
    @classmethod
    def _slots_are_shared(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None:
            if info.data.get("http_workers", 1) > 1:
                raise ValueError("it must be set where MARQUEE_HTTP_WORKERS is more than 1, as workers share the slots")
            if not info.data.get("broker_url", "").startswith("local:"):
                raise ValueError("it must be set outside of embedded mode, as replicas share the slots")
        elif not url.startswith(("redis://", "rediss://")):
            raise ValueError("must begin with redis:// or rediss://")
        return url

    @property
    def public_origin(self) -> str:
        """The origin (RFC 6454) of the public address of bytes; empty where it is the site's own."""
        parts = urlsplit(self.stream_public_url)
        return f"{parts.scheme}://{parts.netloc}" if self.stream_public_url else ""

    @field_validator("stream_public_url")
    @classmethod
    def _a_plain_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("must look like https://media.example.org")
        return url.rstrip("/")
