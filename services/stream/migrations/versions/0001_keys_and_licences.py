"""Keys and licences."""

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
    op.create_table(
        "content_keys",
        sa.Column("asset_id", sa.String(length=36), nullable=False),
        sa.Column("video_id", sa.String(length=36), nullable=False),
        sa.Column("key_id", sa.String(length=36), nullable=False),
        sa.Column("master_key_id", sa.String(length=32), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("asset_id"),
        sa.UniqueConstraint("key_id"),
    )
    with op.batch_alter_table("content_keys", schema=None) as batch_op:
        batch_op.create_index("ix_content_keys_master_key_id", ["master_key_id"], unique=False)
        batch_op.create_index("ix_content_keys_video_id", ["video_id"], unique=False)

    op.create_table(
        "offline_licences",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("video_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("device_name", sa.String(length=100), nullable=False),
        sa.Column("public_key", sa.String(length=87), nullable=False),
        sa.Column("content_version", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.String(length=20), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("offline_licences", schema=None) as batch_op:
        batch_op.create_index("ix_offline_licences_ended", ["ended_at"], unique=False)
        batch_op.create_index(
            "ix_offline_licences_expiry",
            ["expires_at"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index("ix_offline_licences_user", ["user_id", "issued_at"], unique=False)
        batch_op.create_index("ix_offline_licences_video", ["video_id", "issued_at"], unique=False)
        batch_op.create_index(
            "uq_offline_licences_device",
            ["user_id", "device_id", "video_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "seen_devices",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "device"),
    )
    with op.batch_alter_table("seen_devices", schema=None) as batch_op:
        batch_op.create_index("ix_seen_devices_last", ["last_seen_at"], unique=False)
    create_messaging_tables()
