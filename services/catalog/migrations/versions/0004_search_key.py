"""Titles are searched in a folded form."""

from __future__ import annotations

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BATCH = 1000
_CJK = "[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
_SPACE_BESIDE_CJK = re.compile(f" (?={_CJK})|(?<={_CJK}) ")


def upgrade() -> None:
    """Add the column and fill it."""
    op.add_column("videos", sa.Column("search_key", sa.Text, nullable=False, server_default=""))
    videos = sa.table("videos", sa.column("id"), sa.column("title"), sa.column("search_key"))
    fill = sa.update(videos).where(videos.c.id == sa.bindparam("video")).values(search_key=sa.bindparam("key"))
    connection, last = op.get_bind(), ""
    chosen = sa.select(videos.c.id, videos.c.title).order_by(videos.c.id).limit(_BATCH)
    while rows := connection.execute(chosen.where(videos.c.id > last)).all():
        connection.execute(fill, [{"video": row.id, "key": _search_key(row.title)} for row in rows])
        last = rows[-1].id


def _search_key(title: str) -> str:
    """As `services.catalog.domain.search_key` was when this revision was written."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", title).casefold())
    spaced = "".join(" " if unicodedata.category(letter).startswith(("C", "Z")) else letter for letter in folded)
    folded = " ".join(unicodedata.normalize("NFC", spaced).split())
    joined = _SPACE_BESIDE_CJK.sub("", folded)
    return folded if joined == folded else f"{folded}\n{joined}"
