"""Settings of thumbnailer."""

from __future__ import annotations

from pydantic import Field

from kit.settings import BrokerSettings, MediaSettings, ServiceSettings


class ThumbnailerSettings(ServiceSettings, BrokerSettings, MediaSettings):
    """What thumbnailer is told."""

    job_wall_sec: float = Field(120, gt=0, le=3600, description="Seconds that one video may take.")
    job_memory_bytes: int = Field(
        2 * 2**30, ge=256 * 2**20, description="Address space of the child process that opens a video, in bytes."
    )
    jobs: int = Field(1, ge=1, le=32, description="Videos one process works on at a time.")
