"""Bookmarks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "bookmarks",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("video_id", sa.String(36), nullable=False),
        sa.Column("position_sec", sa.Double, nullable=False),
        sa.Column("note", sa.String(1000), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
    )
    op.create_index("ix_bookmarks_user", "bookmarks", ["user_id", "id"])
    op.create_index("ix_bookmarks_user_video", "bookmarks", ["user_id", "video_id", "position_sec", "id"])
    op.create_index("ix_bookmarks_video", "bookmarks", ["video_id"])
