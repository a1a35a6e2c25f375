"""Alembic's entry; see kit.db.migrations."""

from kit.db.migrations import environment
from kit.events import outbox
from services.stream.models import Base

environment(Base.metadata, outbox.metadata)
