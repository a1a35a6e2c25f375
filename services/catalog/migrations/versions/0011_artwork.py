"""Artwork has sizes, sheets and versions; films have placeholders, tracks and jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and the table of jobs. Replicas of before leave the columns out."""
    op.add_column("artworks", sa.Column("details", sa.JSON, nullable=True))
    op.add_column("videos", sa.Column("thumbhash", sa.String(64), nullable=True))
    op.add_column("video_files", sa.Column("details", sa.JSON, nullable=True))
    op.create_table(
        "media_jobs",
        sa.Column("video_id", sa.String(36), sa.ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("code", sa.String(50), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
