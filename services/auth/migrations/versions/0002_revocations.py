"""Index revoked refresh tokens by time."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index("ix_refresh_tokens_revoked_at", "refresh_tokens", ["revoked_at"])
