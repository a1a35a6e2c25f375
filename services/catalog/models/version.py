"""The number of the catalogue's last change."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from services.catalog.models.base import Base


class CatalogueVersion(Base):
    """One row, whose number triggers raise in each transaction that changes what lists or searches show."""

    __tablename__ = "catalogue_version"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int] = mapped_column(BigInteger)
