"""A number that each change of the catalogue raises, by triggers: by it, readers tell that a kept answer is old.

A later revision that makes one of the tables anew must make its triggers anew, too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_TABLES = (
    "videos",
    "video_files",
    "video_tags",
    "artworks",
    "series",
    "highlights",
    "highlight_players",
    "search_documents",
)


def upgrade() -> None:
    """Make the table, its row and the triggers."""
    op.create_table(
        "catalogue_version",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO catalogue_version (id, value) VALUES (1, 1)")
    if op.get_bind().dialect.name == "sqlite":
        for table in _TABLES:
            for change in ("insert", "update", "delete"):
                raising = "BEGIN UPDATE catalogue_version SET value = value + 1; END"
                op.execute(f"CREATE TRIGGER {table}_version_{change} AFTER {change} ON {table} {raising}")
        return
    # Once a transaction, at its end: until then it would hold a lock that every other writer waits for, in any order.
    op.execute(
        """
        CREATE FUNCTION raise_catalogue_version() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF coalesce(current_setting('marquee.raised_in', true), '') <> txid_current()::text THEN
                UPDATE catalogue_version SET value = value + 1;
                PERFORM set_config('marquee.raised_in', txid_current()::text, true);
            END IF;
            RETURN NULL;
        END $$
        """
    )
    for table in _TABLES:
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {table}_version AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION raise_catalogue_version()"
        )
