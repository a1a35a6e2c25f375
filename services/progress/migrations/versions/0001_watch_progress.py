"""Watch progress."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kit.db.migrations import create_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "watch_progress",
        sa.Column("user_id", sa.String(36), primary_key=True),
        sa.Column("video_id", sa.String(36), primary_key=True),
        sa.Column("position_sec", sa.Double, nullable=False),
        sa.Column("duration_sec", sa.Double, nullable=False),
        sa.Column("completed", sa.Boolean, nullable=False),
        sa.Column("session_id", sa.String(64)),
        sa.Column("session_started_at", moment),
        sa.Column("seq", sa.BigInteger),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_watch_progress_history", "watch_progress", ["user_id", "updated_at", "video_id"])
    create_messaging_tables()
