"""SQL of what decides whether a kept answer holds."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Executable, exists, or_, select

from services.catalog.models import CatalogueVersion, Video

SELECT_VERSION: Final[Executable] = select(CatalogueVersion.value)
"""The number of the catalogue's last change that is committed."""


def select_own(user_id: str) -> Executable:
    """Return a look at whether a user has uploads that are not ready: films that others of the same reach don't see."""
    not_ready = or_(Video.status < "ready", Video.status > "ready")
    return select(exists().where(Video.uploader_id == user_id, Video.deleted_at.is_(None), not_ready))
