"""Settings of thumbnailer."""

from __future__ import annotations

import os

from pydantic import Field

from kit.origins import OriginSettings
from kit.settings import BrokerSettings, MediaSettings, ServiceSettings


class ThumbnailerSettings(ServiceSettings, BrokerSettings, MediaSettings, OriginSettings):
    """Settings of thumbnailer."""

    job_wall_sec: float = Field(
        120, gt=0, le=3600, description="Seconds that facts, thumbnail and posters of one video may take."
    )
    long_job_wall_sec: float = Field(
        900,
        gt=0,
        le=1200,
        description="Seconds that storyboard and embedded subtitles of one video may take, for which it is read whole.",
    )
    job_memory_bytes: int = Field(
        2 * 2**30, ge=256 * 2**20, description="Address space of the child process that opens a video, in bytes."
    )
    staging_max_bytes: int = Field(
        4 * 2**30,
        ge=0,
        description="The largest film on another machine that is fetched whole, where a part does not do, in bytes.",
    )
    jobs: int = Field(
        0,
        ge=0,
        le=64,
        description="Jobs that one process runs at a time, and one more for uploads; 0: one a processor core.",
    )

    @property
    def slots(self) -> int:
        """Jobs at a time."""
        if self.jobs:
            return self.jobs
        # Not every system tells which of its processors this process may use.
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
