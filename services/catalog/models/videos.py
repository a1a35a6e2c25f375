"""Videos, their assets and artwork, and the jobs that make them."""

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
    event,
    inspect,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, object_session, relationship, validates

from kit.db.columns import UtcDateTime
from services.catalog.artwork import ArtworkKind
from services.catalog.domain import AssetKind, search_key
from services.catalog.models.base import Base


class Video(Base):
    """A video."""

    __tablename__ = "videos"
    __table_args__ = (
        Index("ix_videos_status", "status", "id"),
        Index("ix_videos_series", "series_id", "season", "episode", "id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    title: Mapped[str] = mapped_column(String(200), index=True)
    search_key: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """`domain.search_key` of the title; empty when a replica from before revision 0004 wrote the row."""
    description: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(20))
    failure_code: Mapped[str | None] = mapped_column(String(50))
    failure_reason: Mapped[str | None] = mapped_column(String(500))
    uploader_id: Mapped[str] = mapped_column(String(36), index=True)
    corporation_id: Mapped[str | None] = mapped_column(String(36), index=True)
    mime_type: Mapped[str] = mapped_column(String(100))
    duplicate_of: Mapped[str | None] = mapped_column(String(36))
    """The video that had the same bytes when this one arrived; None if none had."""
    duration_sec: Mapped[float | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was put into the trash; None when it is not there."""
    version: Mapped[int] = mapped_column(default=1)
    """Grows with each change of the video, also of its artwork."""
    series_id: Mapped[str | None] = mapped_column(ForeignKey("series.id"))
    season: Mapped[int | None] = mapped_column()
    episode: Mapped[int | None] = mapped_column()
    protection: Mapped[str] = mapped_column(String(10), default="", server_default=text("''"))
    """`domain.LSV` for a film that is served as a pack, or not at all; else empty."""
    pack_asset_id: Mapped[str | None] = mapped_column(String(36))
    """The asset that the pack becomes which was asked for, until it has taken effect or failed."""
    thumbhash: Mapped[str | None] = mapped_column(String(64))
    """A blurred placeholder of its thumbnail: a ThumbHash in Base64."""

    assets: Mapped[list[Asset]] = relationship(lazy="raise", order_by="Asset.id")
    artworks: Mapped[list[Artwork]] = relationship(lazy="raise")
    jobs: Mapped[list[MediaJob]] = relationship(lazy="raise", order_by="MediaJob.kind")

    @validates("title")
    def _index_title(self, _name: str, title: str) -> str:
        self.search_key = search_key(title)
        return title

    @property
    def thumbnail(self) -> Artwork | None:
        """Its thumbnail; None until it is made."""
        return self.artwork(ArtworkKind.THUMBNAIL)

    def artwork(self, kind: ArtworkKind) -> Artwork | None:
        """Return its artwork of a kind; None until it is made."""
        return next((artwork for artwork in self.artworks if artwork.kind == kind), None)

    @property
    def source(self) -> Asset | None:
        """The asset that was brought in; None when it was removed: the film can never be played, or has a pack."""
        return next((asset for asset in self.assets if asset.kind == AssetKind.SOURCE), None)

    @property
    def pack(self) -> Asset | None:
        """The pack that is served in place of the source."""
        packs = (asset for asset in self.assets if asset.kind == AssetKind.LSV and asset.id != self.pack_asset_id)
        return next(packs, None)

    @property
    def new_pack(self) -> Asset | None:
        """The pack that was asked for, once it is there; it has yet to take effect."""
        return next((asset for asset in self.assets if asset.id == self.pack_asset_id), None)

    @property
    def film(self) -> Asset | None:
        """The asset that has the film's facts."""
        return self.source or self.pack

    @property
    def playable(self) -> Asset | None:
        """The asset that is served; a protected film's source never is."""
        return self.pack if self.protection else self.source


@event.listens_for(Video, "before_update")
def _renew_version(_mapper: object, _connection: object, video: Video) -> None:
    """Give a changed video a new version unless it has one: by it, readers tell that a card is old."""
    session = object_session(video)
    is_changed = session is not None and session.is_modified(video, include_collections=False)
    if is_changed and not inspect(video).attrs.version.history.has_changes():
        video.version += 1


class Asset(Base):
    """A file of a video that can be served; of which kind, `domain.AssetKind` says."""

    __tablename__ = "video_files"
    __table_args__ = (
        Index("ux_video_files_reference", "reference", unique=True),
        Index("ix_video_files_codec", "video_codec", "video_id"),
        Index("ix_video_files_height", "height", "video_id"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20), server_default=text("'source'"))
    """An `AssetKind`; replicas from before revision 0005 write sources only, and leave it out."""
    reference: Mapped[str] = mapped_column(String(2000))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """Grows when its bytes are replaced, and only then: entity tags and hot copies last as long."""
    sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    """SHA-256 in hexadecimal of the bytes that were uploaded; None for imports, and for uploads from before revision
    0006."""
    video_codec: Mapped[str | None] = mapped_column(String(50))
    audio_codec: Mapped[str | None] = mapped_column(String(50))
    width: Mapped[int | None] = mapped_column()
    height: Mapped[int | None] = mapped_column()
    bitrate_bps: Mapped[int | None] = mapped_column(BigInteger)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Tracks, chapters and colours, as in `MediaDetails` of the events; None when the film was not looked into."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Artwork(Base):
    """Pictures of a video of one kind, all made by one job."""

    __tablename__ = "artworks"
    __table_args__ = (UniqueConstraint("video_id", "kind"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    """An `ArtworkKind`."""
    reference: Mapped[str] = mapped_column(String(300))
    """Of the file of a thumbnail, and of the folder of all others."""
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Widths of posters, layout of a storyboard, tracks of subtitles."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def version(self) -> int:
        """A number that changes with the pictures: when they were made, in milliseconds since 1970."""
        return int(self.created_at.timestamp() * 1000)


class MediaJob(Base):
    """The last job of a kind for a video, as thumbnailer reports it."""

    __tablename__ = "media_jobs"

    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    state: Mapped[str] = mapped_column(String(20))
    """One of `artwork.JOB_STATES`."""
    code: Mapped[str] = mapped_column(String(50))
    """Of the failure; empty without one."""
    reason: Mapped[str] = mapped_column(String(500))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When thumbnailer reported it."""
