"""Settings of thumbnailer."""

from __future__ import annotations

from pydantic import Field

from kit.origins import OriginSettings
from kit.settings import BrokerSettings, MediaSettings, ServiceSettings


class ThumbnailerSettings(ServiceSettings, BrokerSettings, MediaSettings, OriginSettings):
    """Settings of thumbnailer."""

    job_wall_sec: float = Field(120, gt=0, le=3600, description="Seconds that one video may take.")
    job_memory_bytes: int = Field(
        2 * 2**30, ge=256 * 2**20, description="Address space of the child process that opens a video, in bytes."
    )
    staging_max_bytes: int = Field(
        4 * 2**30,
        ge=0,
        description="The largest film on another machine that is fetched whole, where a part does not do, in bytes.",
    )
    jobs: int = Field(1, ge=1, le=32, description="Videos one process works on at a time.")
