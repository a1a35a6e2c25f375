"""References may be addresses of films elsewhere, each of which is one video."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for addresses."""
    with op.batch_alter_table("video_files") as files:
        files.alter_column("reference", type_=sa.String(2000), existing_type=sa.String(300), existing_nullable=False)
    op.create_index("ux_video_files_reference", "video_files", ["reference"], unique=True)
