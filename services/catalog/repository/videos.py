"""All SQL of catalog."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, and_, delete, func, not_, or_, select, true, union_all
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from kit.db.columns import among
from services.catalog.domain import LSV, AssetKind, Caller, Reaching
from services.catalog.models import Artwork, Asset, Video


class ReferenceTakenError(Exception):
    """Another video has this file already."""


class VideoRepository:
    """Videos with their files and artwork."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, video: Video) -> None:
        """Add a video with its assets."""
        self._session.add(video)

    async def add_import(self, video: Video) -> None:
        """Add a video whose source lies elsewhere.

        Raises:
            ReferenceTakenError: another video has that file; the transaction can only be rolled back.
        """
        self._session.add(video)
        try:
            await self._session.flush()
        except IntegrityError as error:
            raise ReferenceTakenError from error

    async def owner_of(self, reference: str, *, lock: bool = False) -> Video | None:
        """Return the video that has this file, with `lock` locked until the transaction ends; None if none has."""
        owner = select(Asset.video_id).where(Asset.reference == reference).scalar_subquery()
        statement = _select_video().where(Video.id == owner)
        return await self._session.scalar(statement.with_for_update(of=Video) if lock else statement)

    async def lock_content(self, sha256: str) -> None:
        """Let no other transaction add the same bytes until this one ends; SQLite has one writer anyway."""
        if self._session.get_bind().dialect.name == "postgresql":
            key = int(sha256[:16], 16) - (1 << 63)
            await self._session.execute(select(func.pg_advisory_xact_lock(key)))

    async def find_duplicate(self, sha256: str, corporation_id: str | None) -> str | None:
        """Return the oldest video made of these bytes that the viewers of a corporation's video may know of, too.

        Args:
            sha256: of the source.
            corporation_id: the owner of the new video; platform videos are compared with each other only.
        """
        owners: ColumnElement[bool] = Video.corporation_id.is_(None)
        if corporation_id is not None:
            owners = or_(owners, Video.corporation_id == corporation_id)
        return await self._session.scalar(
            select(Video.id)
            .join(Asset)
            .where(Asset.sha256 == sha256, Video.deleted_at.is_(None), owners)
            .order_by(Video.id)
            .limit(1)
        )

    async def stored_bytes(self, corporation_id: str) -> int:
        """Return the size of a corporation's files in the store; imports lie elsewhere."""
        total = await self._session.scalar(
            select(func.sum(Asset.size_bytes))
            .join(Video)
            .where(Video.corporation_id == corporation_id, Asset.reference.startswith("videos/"))
        )
        return int(total or 0)

    async def get(self, video_id: str) -> Video | None:
        """Return a video with its assets and artwork."""
        return await self._session.scalar(_select_video().where(Video.id == video_id))

    async def get_locked(self, video_id: str) -> Video | None:
        """Return the same with its jobs, locked until the transaction ends."""
        return await self._session.scalar(_select_details().where(Video.id == video_id).with_for_update(of=Video))

    async def lock_all(self, ids: Collection[str]) -> Sequence[Video]:
        """Return the same of several videos, locked in one order, so that two transactions never wait in a circle."""
        chosen = _select_details().where(Video.id.in_(ids)).order_by(Video.id)
        return (await self._session.scalars(chosen.with_for_update(of=Video))).all()

    async def file_references(self, ids: Sequence[str]) -> set[str]:
        """Return the references of all artwork and assets of several videos."""
        artwork = select(Artwork.reference).where(Artwork.video_id.in_(ids))
        assets = select(Asset.reference).where(Asset.video_id.in_(ids))
        return set(await self._session.scalars(union_all(artwork, assets)))

    async def without_source(self, ids: Sequence[str]) -> Sequence[str]:
        """Return which of these videos are protected, and have no source any more."""
        gone = (Video.id.in_(ids), Video.protection == LSV, Video.status == "ready", not_(_has_source()))
        return (await self._session.scalars(select(Video.id).where(*gone))).all()

    async def by_ids(self, ids: Sequence[str]) -> Sequence[Video]:
        """Return several videos as lists show them, without their assets; those in the trash are left out."""
        statement = select(Video).options(selectinload(Video.artworks))
        statement = statement.where(Video.id.in_(ids), Video.deleted_at.is_(None))
        return (await self._session.scalars(statement)).all()

    async def versions(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the versions of several videos, without those in the trash."""
        versions = _versions(is_sqlite=on_sqlite(self._session))
        rows = await (await self._session.connection()).execute(versions, {"ids": ids})
        return {row.id: row.version for row in rows}

    async def with_files(self, ids: Sequence[str]) -> set[str]:
        """Return which of these videos exist, without those that failed and whose file is to be removed."""
        keeps_file = or_(Video.status != "failed", _has_source())
        return set(await self._session.scalars(select(Video.id).where(Video.id.in_(ids), keeps_file)))

    async def remove_assets(self, video: Video, assets: Sequence[Asset]) -> None:
        """Delete some of the assets of a video."""
        for asset in list(assets):
            await self._session.delete(asset)
            video.assets.remove(asset)

    async def deleted_before(self, moment: datetime, limit: int) -> Sequence[Video]:
        """Return videos put into the trash before a moment, locked; those that others have locked are left out."""
        long_ago = _select_video().where(Video.deleted_at < moment).order_by(Video.deleted_at).limit(limit)
        return (await self._session.scalars(long_ago.with_for_update(of=Video, skip_locked=True))).all()

    async def remove(self, video: Video) -> None:
        """Delete a video with its assets and artwork."""
        await self._session.execute(delete(Video).where(Video.id == video.id))


class VisibleVideoRepository:
    """The videos that one caller may see. All reads on its behalf go through this class.

    Args:
        session: the transaction.
        caller: who asks.
    """

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session = session
        self._caller = caller

    async def has(self, video_id: str) -> bool:
        """Return whether the caller may see a video."""
        statement = select(Video.id).where(Video.id == video_id, visible_to(self._caller))
        return await self._session.scalar(statement) is not None

    async def get(self, video_id: str, *, lock: bool = False) -> Video | None:
        """Return a video with its assets and artwork, with `lock` locked until the transaction ends."""
        return await self._one(video_id, visible_to(self._caller), lock=lock)

    async def trashed(self, video_id: str, *, lock: bool = False) -> Video | None:
        """Return the same for a video in the trash."""
        return await self._one(video_id, _trashed_for(self._caller), lock=lock)

    async def trash(self, *, offset: int, limit: int) -> tuple[Sequence[Video], int]:
        """Return a page of the caller's trash, the last deleted first, and the total."""
        order: list[ColumnElement[Any]] = [Video.deleted_at.desc(), Video.id.desc()]
        return await self._page([_trashed_for(self._caller)], order, offset, limit)

    async def _one(self, video_id: str, condition: ColumnElement[bool], *, lock: bool) -> Video | None:
        statement = _select_details().where(Video.id == video_id, condition)
        return await self._session.scalar(statement.with_for_update(of=Video) if lock else statement)

    async def _page(
        self, conditions: list[ColumnElement[bool]], order: Sequence[ColumnElement[Any]], offset: int, limit: int
    ) -> tuple[Sequence[Video], int]:
        total = await self._session.scalar(select(func.count(Video.id)).where(*conditions))
        selected = _select_video().where(*conditions).order_by(*order)
        rows = await self._session.scalars(selected.offset(offset).limit(limit))
        return rows.all(), total or 0


@cache
def _versions(*, is_sqlite: bool) -> Executable:
    """Return a selection of the versions of the films in the parameter `ids`."""
    chosen = among(Video.id, "ids", is_sqlite=is_sqlite)
    return select(Video.id, Video.version).where(chosen, Video.deleted_at.is_(None))


def _select_video() -> Select[Video]:
    return select(Video).options(selectinload(Video.assets), selectinload(Video.artworks))


def _select_details() -> Select[Video]:
    return _select_video().options(selectinload(Video.jobs))


def _has_source() -> ColumnElement[bool]:
    return Video.assets.any(Asset.kind == AssetKind.SOURCE)


def title_contains(word: str) -> ColumnElement[bool]:
    """Return whether a title holds a word of `domain.search_words`."""
    not_indexed = and_(Video.search_key == "", Video.title.icontains(word, autoescape=True))
    return or_(Video.search_key.contains(word, autoescape=True), not_indexed)


def visible_to(caller: Caller) -> ColumnElement[bool]:
    """`domain.may_see` as SQL; a test holds the two against each other."""
    existing = and_(Video.deleted_at.is_(None), in_reach(caller))
    return existing if caller.is_admin else and_(existing, or_(Video.status == "ready", _uploaded_by(caller)))


def on_sqlite(session: AsyncSession) -> bool:
    """Return whether a session is one of SQLite."""
    return session.get_bind().dialect.name == "sqlite"


def playable_by(caller: Reaching, *, is_sqlite: bool) -> ColumnElement[bool]:
    """Return whether a video can be watched and is visible to a caller: for lists that are read by another index.

    SQLite takes a status or a corporation for selective: as expressions, they keep it from reading all films by them.
    PostgreSQL has statistics of columns, and takes such an expression for one that one film fulfils: it would read all
    films first, and look up the other table for each.
    """
    if not is_sqlite:
        return and_(Video.status == "ready", Video.deleted_at.is_(None), in_reach(caller))
    ready = and_(Video.status.concat("") == "ready", Video.deleted_at.is_(None))
    if caller.is_admin:
        return ready
    return and_(ready, func.coalesce(Video.corporation_id, "").in_(["", caller.corporation_id]))


def _trashed_for(caller: Caller) -> ColumnElement[bool]:
    """`domain.may_see_in_trash` as SQL; a test holds the two against each other."""
    trashed = and_(Video.deleted_at.is_not(None), in_reach(caller))
    return trashed if caller.is_admin else and_(trashed, _uploaded_by(caller))


def in_reach(caller: Reaching) -> ColumnElement[bool]:
    """`domain.in_reach` as SQL."""
    if caller.is_admin:
        return true()
    platform = Video.corporation_id.is_(None)
    return or_(platform, Video.corporation_id == caller.corporation_id) if caller.corporation_id else platform


def _uploaded_by(caller: Caller) -> ColumnElement[bool]:
    return Video.uploader_id == caller.user_id
