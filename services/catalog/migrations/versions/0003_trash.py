"""Videos may be in the trash."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("videos", sa.Column("deleted_at", sa.DateTime(timezone=True)))
    op.create_index("ix_videos_deleted_at", "videos", ["deleted_at"])
