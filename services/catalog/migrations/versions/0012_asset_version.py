"""Assets have a version of their own, which grows when their bytes are replaced."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin with the version of the video, which entity tags were made of: those that players hold stay good."""
    op.add_column("video_files", sa.Column("version", sa.Integer, nullable=False, server_default=sa.text("1")))
    op.execute(
        "UPDATE video_files SET version = (SELECT videos.version FROM videos WHERE videos.id = video_files.video_id)"
    )
