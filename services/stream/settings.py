"""Settings of stream."""

from __future__ import annotations

from pydantic import Field, field_validator

from kit.origins import Object, OriginSettings, parse
from kit.settings import BrokerSettings, MediaSettings, ServiceSettings


class StreamSettings(ServiceSettings, BrokerSettings, MediaSettings, OriginSettings):
    """What stream is told."""

    media_url: str = Field(
        ..., description="Where media files are: `file:///absolute/folder`, or `s3://bucket/prefix` laid out like it."
    )
    catalog_address: str = Field("127.0.0.1:50051", description="gRPC address of catalog.")
    read_threads: int = Field(
        16, ge=1, le=256, description="Threads that read media files: how many slow reads may wait side by side."
    )
    source_cache_sec: float = Field(
        60, ge=0, le=3600, description="Seconds for which the facts of a video are kept; a change drops them at once."
    )

    @field_validator("media_url")
    @classmethod
    def _known_store(cls, url: str) -> str:
        if not url.startswith("s3://"):
            return super()._known_store(url)
        parse(f"{url.rstrip('/')}/videos")
        return url

    @property
    def media_bucket(self) -> Object | None:
        """Bucket and prefix of an `s3://` store; None for a folder."""
        bucket, _, prefix = self.media_url.removeprefix("s3://").rstrip("/").partition("/")
        return Object(bucket, prefix) if self.media_url.startswith("s3://") else None
