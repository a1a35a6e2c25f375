"""Add to refresh tokens what they were issued to, so that users recognise their login sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; tokens from before have empty ones until they are renewed."""
    with op.batch_alter_table("refresh_tokens") as table:
        table.add_column(sa.Column("client_address", sa.String(64), nullable=False, server_default=sa.text("''")))
        table.add_column(sa.Column("user_agent", sa.String(200), nullable=False, server_default=sa.text("''")))
