"""Tables of stream: keys and licences of protected films."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kit.db.columns import UtcDateTime

_IN_FORCE = text("ended_at IS NULL")


class Base(DeclarativeBase):
    """Metadata of stream's tables."""


class WrappedContentKey(Base):
    """The content key of an LSV pack, wrapped by a master key."""

    __tablename__ = "content_keys"

    asset_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    """The pack."""
    video_id: Mapped[str] = mapped_column(String(36), index=True)
    key_id: Mapped[str] = mapped_column(String(36), unique=True)
    master_key_id: Mapped[str] = mapped_column(String(32), index=True)
    """Name of the master key that wrapped it, in hexadecimal."""
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    """docs/reference/lsv-format.md, "Wrapped content keys"."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class OfflineLicence(Base):
    """A licence to play a protected film on one device without the network."""

    __tablename__ = "offline_licences"
    __table_args__ = (
        Index(
            "uq_offline_licences_device",
            "user_id",
            "device_id",
            "video_id",
            unique=True,
            sqlite_where=_IN_FORCE,
            postgresql_where=_IN_FORCE,
        ),
        Index("ix_offline_licences_video", "video_id", "issued_at"),
        Index("ix_offline_licences_user", "user_id", "issued_at"),
        Index("ix_offline_licences_expiry", "expires_at", sqlite_where=_IN_FORCE, postgresql_where=_IN_FORCE),
        Index("ix_offline_licences_ended", "ended_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(36))
    video_id: Mapped[str] = mapped_column(String(36))
    device_id: Mapped[str] = mapped_column(String(36))
    """A UUID that the device keeps."""
    device_name: Mapped[str] = mapped_column(String(100))
    public_key: Mapped[str] = mapped_column(String(87))
    """The device's, as base64url: whose private key alone unwraps."""
    content_version: Mapped[int] = mapped_column(BigInteger)
    """Version of the bytes that it was issued for."""
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was issued or renewed last."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """None while it is in force."""
    end_reason: Mapped[str | None] = mapped_column(String(20))
    """An `EndOfLicence`; set with `ended_at`."""
    version: Mapped[int]


class SeenDevice(Base):
    """A device on which a user has played protected films."""

    __tablename__ = "seen_devices"
    __table_args__ = (Index("ix_seen_devices_last", "last_seen_at"),)

    user_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    device: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of what tells devices apart, in hexadecimal."""
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
