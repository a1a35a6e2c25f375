"""Settings of stream."""

from __future__ import annotations

from pydantic import Field

from kit.settings import BrokerSettings, MediaSettings, ServiceSettings


class StreamSettings(ServiceSettings, BrokerSettings, MediaSettings):
    """What stream is told."""

    catalog_address: str = Field("127.0.0.1:50051", description="gRPC address of catalog.")
    read_threads: int = Field(
        16, ge=1, le=256, description="Threads that read media files: how many slow reads may wait side by side."
    )
    source_cache_sec: float = Field(
        60, ge=0, le=3600, description="Seconds for which the facts of a video are kept; a change drops them at once."
    )
