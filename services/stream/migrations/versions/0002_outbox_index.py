"""An index for deleting events that were sent long ago."""

from __future__ import annotations

from kit.db.migrations import add_index_of_sent_events

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the index."""
    add_index_of_sent_events()
