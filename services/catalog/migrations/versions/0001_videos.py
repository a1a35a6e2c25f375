"""Videos, their files and artwork."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kit.db.migrations import create_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "videos",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("failure_code", sa.String(50)),
        sa.Column("failure_reason", sa.String(500)),
        sa.Column("uploader_id", sa.String(36), nullable=False),
        sa.Column("corporation_id", sa.String(36)),
        sa.Column("mime_type", sa.String(100), nullable=False),
        sa.Column("duration_sec", sa.Float),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_videos_status", "videos", ["status", "id"])
    op.create_index("ix_videos_title", "videos", ["title"])
    op.create_index("ix_videos_uploader_id", "videos", ["uploader_id"])
    op.create_index("ix_videos_corporation_id", "videos", ["corporation_id"])
    op.create_table(
        "video_files",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("video_id", sa.String(36), sa.ForeignKey("videos.id", ondelete="CASCADE"), nullable=False),
        sa.Column("reference", sa.String(300), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("video_codec", sa.String(50)),
        sa.Column("audio_codec", sa.String(50)),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("bitrate_bps", sa.BigInteger),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_index("ix_video_files_video_id", "video_files", ["video_id"])
    op.create_table(
        "artworks",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("video_id", sa.String(36), sa.ForeignKey("videos.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("reference", sa.String(300), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.UniqueConstraint("video_id", "kind"),
    )
    create_messaging_tables()
