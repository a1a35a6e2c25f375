"""Settings of services that read files from other machines."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from kit.origins.guard import Guard
from kit.origins.references import Object, parse, parse_url
from kit.origins.s3 import Endpoint
from kit.origins.sigv4 import Credentials
from kit.settings import MediaSettings, PrefixedSettings


class BucketMediaSettings(MediaSettings):
    """Settings of services whose media store may be a bucket of S3."""

    media_url: str = Field(
        ..., description="Where media files are: `file:///absolute/folder`, or `s3://bucket/prefix` laid out like it."
    )

    @field_validator("media_url")
    @classmethod
    def _known_store(cls, url: str) -> str:
        if not url.startswith("s3://"):
            return super()._known_store(url)
        parse(f"s3://{url.removeprefix('s3://').rstrip('/')}/videos")
        return url

    @property
    def media_bucket(self) -> Object | None:
        """Bucket and prefix of an `s3://` store; None for a folder."""
        bucket, _, prefix = self.media_url.removeprefix("s3://").rstrip("/").partition("/")
        return Object(bucket, prefix) if self.media_url.startswith("s3://") else None


class OriginSettings(PrefixedSettings):
    """Where imported films may be, and how they are reached."""

    import_dir: Path | None = Field(
        None, description="Folder of films that are served in place; without it none can be imported from disk."
    )
    remote_allow: str = Field(
        "",
        description="Networks and hosts, separated by commas, that may be origins although they are not public.",
    )
    remote_ports: str = Field("80,443", description="Permitted ports of origins, separated by commas; `*` for all.")
    remote_timeout_sec: float = Field(
        10, ge=0.1, le=120, description="Seconds in which an origin must answer, and continue after a pause."
    )
    s3_endpoint_url: str | None = Field(
        None, description="Address of the S3 server, such as `http://minio:9000`; Amazon's of the region by default."
    )
    s3_region: str = Field("us-east-1", pattern=r"^[a-z0-9-]{1,64}$", description="Region of S3 signatures.")
    s3_access_key_id: str | None = Field(None, description="Access key id for S3; without one, requests are anonymous.")
    s3_secret_access_key: SecretStr | None = Field(
        None, validate_default=True, description="Secret of the access key id."
    )

    @field_validator("import_dir")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_absolute():
            raise ValueError("must be an absolute path")
        return folder

    @field_validator("remote_allow")
    @classmethod
    def _known_hosts(cls, allow: str) -> str:
        Guard(allow)
        return allow

    @field_validator("remote_ports")
    @classmethod
    def _known_ports(cls, ports: str) -> str:
        Guard("", ports)
        return ports

    @field_validator("s3_endpoint_url")
    @classmethod
    def _known_endpoint(cls, url: str | None) -> str | None:
        if url is not None:
            parse_url(url)
        return url

    @field_validator("s3_secret_access_key")
    @classmethod
    def _whole_credentials(cls, secret: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if (secret is None) != (others.data.get("s3_access_key_id") is None):
            raise ValueError("it and MARQUEE_S3_ACCESS_KEY_ID are set together, or not at all")
        return secret

    def guard(self) -> Guard:
        """Return the guard that decides which machines are permitted."""
        return Guard(self.remote_allow, self.remote_ports)

    def s3_endpoint(self, instead: str | None = None) -> Endpoint:
        """Return the endpoint of S3; `instead` is another address of the same server."""
        credentials = None
        if self.s3_access_key_id is not None and self.s3_secret_access_key is not None:
            secret = self.s3_secret_access_key.get_secret_value()
            credentials = Credentials(self.s3_access_key_id, secret, self.s3_region)
        url = instead or self.s3_endpoint_url or f"https://s3.{self.s3_region}.amazonaws.com"
        return Endpoint(parse_url(url), credentials)
