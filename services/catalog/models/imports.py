"""Subtitles, imported files, and the jobs that import them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from kit.db.columns import UtcDateTime
from services.catalog.models.base import Base


class Subtitle(Base):
    """Subtitles of a video, as WebVTT in the media store. A video has one of each `captions.Track`."""

    __tablename__ = "subtitles"
    __table_args__ = (UniqueConstraint("video_id", "track"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    track: Mapped[str] = mapped_column(String(50))
    """`captions.Track.name`: language and flags."""
    language: Mapped[str] = mapped_column(String(50))
    """BCP 47."""
    title: Mapped[str] = mapped_column(String(200))
    """What a menu shows; empty for the language's name."""
    source: Mapped[str] = mapped_column(String(20))
    """A `domain.SubtitleSource`."""
    forced: Mapped[bool] = mapped_column()
    sdh: Mapped[bool] = mapped_column()
    reference: Mapped[str] = mapped_column(String(300))
    """In the media store."""
    encoding: Mapped[str] = mapped_column(String(50))
    """Of the file that they were made from."""
    encoding_confidence: Mapped[float] = mapped_column()
    cues: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ImportFile(Base):
    """A film below the folder of imported films, as the last scan saw it."""

    __tablename__ = "import_files"
    __table_args__ = (
        Index("ix_import_files_folder", "folder_key", "id"),
        Index("ix_import_files_state", "state", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """`imports.tree.key` of the path: paths are too long for an index."""
    folder_key: Mapped[str] = mapped_column(String(32))
    """`imports.tree.key` of the folder's path."""
    path: Mapped[str] = mapped_column(Text)
    video_id: Mapped[str | None] = mapped_column(ForeignKey("videos.id", ondelete="SET NULL"), index=True)
    """None when the video was removed for good: the file stays, and is not imported again."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    fingerprint: Mapped[str] = mapped_column(String(32), index=True)
    sidecars: Mapped[str] = mapped_column(String(32))
    """Digest of names, sizes and times of the subtitle files beside it; empty without any."""
    state: Mapped[str] = mapped_column(String(10))
    """A `domain.ImportState`."""


class JobRecord(Base):
    """Bulk work of an administrator: an import of a tree, or processing videos again."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_kind", "kind", "status", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    """A `domain.JobKind`."""
    status: Mapped[str] = mapped_column(String(20))
    """A `domain.JobStatus`."""
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    cursor: Mapped[str] = mapped_column(Text)
    """Where it goes on after a stop; its kind says what it means."""
    total: Mapped[int | None] = mapped_column()
    """How much there is to do; None while that is not known."""
    done: Mapped[int] = mapped_column()
    counts: Mapped[dict[str, int]] = mapped_column(JSON)
    """By outcome."""
    error: Mapped[str | None] = mapped_column(String(500))
    actor_id: Mapped[str] = mapped_column(String(36))
    holder: Mapped[str | None] = mapped_column(String(36))
    """The process that works on it."""
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When another process may take it over."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class JobResult(Base):
    """What a job did with one file: its report. Files that stayed as they were have none."""

    __tablename__ = "job_results"
    __table_args__ = (Index("ix_job_results_job", "job_id", "outcome", "id"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    outcome: Mapped[str] = mapped_column(String(20))
    path: Mapped[str] = mapped_column(Text)
    video_id: Mapped[str | None] = mapped_column(String(36))
    detail: Mapped[str] = mapped_column(String(500))
    """The reason of a failure, or the former path of what was renamed."""
