"""Settings of thumbnailer."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from kit.origins import BucketMediaSettings, OriginSettings
from kit.settings import BrokerSettings, ServiceSettings


class ThumbnailerSettings(ServiceSettings, BrokerSettings, BucketMediaSettings, OriginSettings):
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
    protect_wall_sec: float = Field(
        1200,
        gt=0,
        le=1500,
        description="Seconds that reading one film for its LSV pack may take.",
    )
    stream_address: str = Field("127.0.0.1:50051", description="gRPC address of stream, which has the content keys.")
    job_memory_bytes: int = Field(
        2 * 2**30, ge=256 * 2**20, description="Address space of the child process that opens a video, in bytes."
    )
    staging_max_bytes: int = Field(
        4 * 2**30,
        ge=0,
        description="The largest film on another machine that is fetched whole, where a part does not do, in bytes.",
    )
    staging_dir: Path | None = Field(
        None,
        validate_default=True,
        description="Folder on a disk of this machine, where films of an `s3://` store are fetched to be looked into; a"
        " store in a folder has its own.",
    )
    jobs: int = Field(
        0,
        ge=0,
        le=64,
        description="Jobs that one process runs at a time, and one more for uploads; 0: one a processor core.",
    )

    @field_validator("staging_dir")
    @classmethod
    def _bucket_needs_it(cls, folder: Path | None, others: ValidationInfo) -> Path | None:
        if folder is None and others.data.get("media_url", "").startswith("s3://"):
            raise ValueError("it must be set where MARQUEE_MEDIA_URL is a bucket, as films are fetched into it")
        if folder is not None and not folder.is_absolute():
            raise ValueError("must be an absolute path")
        return folder

    @property
    def staging_root(self) -> Path:
        """Return the folder in which films are staged, laid out like the media store."""
        return self.staging_dir if self.media_bucket and self.staging_dir else self.media_root

    @property
    def slots(self) -> int:
        """Jobs at a time."""
        if self.jobs:
            return self.jobs
        # Not every system tells which of its processors this process may use.
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
