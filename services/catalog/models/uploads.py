"""Resumable uploads."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Integer,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from kit.db.columns import UtcDateTime
from services.catalog.models.base import Base


class ResumableUpload(Base):
    """An upload that may take several requests (tus 1.0.0). The row stays until it expires, also once it is over."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    uploader_id: Mapped[str] = mapped_column(String(36), index=True)
    corporation_id: Mapped[str | None] = mapped_column(String(36), index=True)
    status: Mapped[str] = mapped_column(String(20))
    """`domain.UploadStatus`."""
    length_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """The size of the whole file; None while the client has not declared it."""
    received_bytes: Mapped[int] = mapped_column(BigInteger)
    """The offset: so many bytes are on disk and synced. Equals `length_bytes` only once the upload is over."""
    video_id: Mapped[str] = mapped_column(String(36), unique=True)
    """The id that the video will have."""
    duplicate_of: Mapped[str | None] = mapped_column(String(36))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSON)
    protection: Mapped[str] = mapped_column(String(10), default="", server_default=text("''"))
    """`domain.LSV`, or empty."""
    client_metadata: Mapped[str] = mapped_column(Text)
    """`Upload-Metadata` as the client sent it."""
    store_upload_id: Mapped[str | None] = mapped_column(String(1024))
    """In a bucket, the multipart upload that it becomes."""
    part_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """The size of its parts, but for the last one."""
    tail: Mapped[str | None] = mapped_column(String(36))
    """In a bucket, the name of the object with the bytes behind the last part; None without any."""
    lease_id: Mapped[str | None] = mapped_column(String(36))
    """The request that may write now; another takes over after `leased_until`."""
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class UploadPart(Base):
    """A confirmed part of a resumable upload to a bucket; gone once the upload is over."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """From 1."""
    tag: Mapped[str] = mapped_column(String(255))
    """The entity tag that the server gave it; empty where the file had been completed before."""
