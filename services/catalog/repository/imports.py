"""SQL of imported trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from services.catalog.domain import ImportState
from services.catalog.models import Asset, ImportFile, Video

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file as the last scan saw it."""

    size: int
    mtime_ns: int
    sidecars: str
    state: str
    video_id: str | None
    status: str
    """Of its video; empty without one."""
    failure_reason: str


class ImportRepository:
    """The files that scans have seen."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add_all(self, files: Sequence[ImportFile]) -> None:
        """Add files."""
        self._session.add_all(files)

    async def in_folders(self, folder_keys: Sequence[str]) -> dict[str, dict[str, KnownFile]]:
        """Return the files of folders, by folder and id; read some at a time: a folder may have tens of thousands."""
        found: dict[str, dict[str, KnownFile]] = {folder_key: {} for folder_key in folder_keys}
        columns = (ImportFile.size_bytes, ImportFile.mtime_ns, ImportFile.sidecars, ImportFile.state)
        video = (ImportFile.video_id, func.coalesce(Video.status, ""), func.coalesce(Video.failure_reason, ""))
        statement = (
            select(ImportFile.id, ImportFile.folder_key, *columns, *video)
            .outerjoin(Video, Video.id == ImportFile.video_id)
            .where(ImportFile.folder_key.in_(folder_keys))
            .order_by(ImportFile.id)
            .limit(_PAGE)
        )
        last = ""
        while rows := (await self._session.execute(statement.where(ImportFile.id > last))).all():
            for row in rows:
                found[row[1]][row[0]] = KnownFile(*row[2:])
            last = rows[-1][0]
        return found

    async def get(self, ids: Sequence[str]) -> dict[str, ImportFile]:
        """Return files by id."""
        rows = await self._session.scalars(select(ImportFile).where(ImportFile.id.in_(ids)))
        return {file.id: file for file in rows}

    async def like(self, fingerprints: Sequence[str]) -> Sequence[ImportFile]:
        """Return files with one of these fingerprints, at most a thousand."""
        alike = select(ImportFile).where(ImportFile.fingerprint.in_(fingerprints))
        statement = alike.order_by(ImportFile.id).limit(_PAGE)
        return (await self._session.scalars(statement)).all()

    async def videos(self, ids: Sequence[str]) -> dict[str, Video]:
        """Return videos by id, with assets and artwork, locked."""
        loaded = select(Video).options(selectinload(Video.assets), selectinload(Video.artworks))
        statement = loaded.where(Video.id.in_(ids)).order_by(Video.id).with_for_update(of=Video)
        return {video.id: video for video in await self._session.scalars(statement)}

    async def owners(self, references: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return id of the video, and size when it was taken in, of those of these files that are videos."""
        statement = select(Asset.reference, Asset.video_id, Asset.size_bytes).where(Asset.reference.in_(references))
        return {reference: (video_id, size) for reference, video_id, size in await self._session.execute(statement)}

    async def vanish(self, ids: Sequence[str]) -> None:
        """Record that files are not where they were."""
        here = (ImportFile.id.in_(ids), ImportFile.state == ImportState.PRESENT)
        await self._session.execute(update(ImportFile).where(*here).values(state=ImportState.VANISHED))

    async def folders_after(self, folder_key: str, limit: int) -> Sequence[tuple[str, str]]:
        """Return the next folders that have files, as key and the path of one of the files."""
        statement = (
            select(ImportFile.folder_key, func.min(ImportFile.path))
            .where(ImportFile.folder_key > folder_key, ImportFile.state == ImportState.PRESENT)
            .group_by(ImportFile.folder_key)
            .order_by(ImportFile.folder_key)
            .limit(limit)
        )
        return [(found, path) for found, path in await self._session.execute(statement)]

    async def vanish_folders(self, folder_keys: Sequence[str]) -> None:
        """Record that whole folders are not where they were."""
        here = (ImportFile.folder_key.in_(folder_keys), ImportFile.state == ImportState.PRESENT)
        await self._session.execute(update(ImportFile).where(*here).values(state=ImportState.VANISHED))

    async def in_states(self, states: Sequence[ImportState], after: str, limit: int) -> Sequence[ImportFile]:
        """Return the next files in these states, by id."""
        statement = select(ImportFile).where(ImportFile.state.in_(states), ImportFile.id > after)
        return (await self._session.scalars(statement.order_by(ImportFile.id).limit(limit))).all()

    async def has_any(self) -> bool:
        """Return whether any file is there, as far as scans know."""
        statement = select(ImportFile.id).where(ImportFile.state == ImportState.PRESENT).limit(1)
        return await self._session.scalar(statement) is not None

    async def forget(self, file: ImportFile) -> None:
        """Delete a file's row, at once: another one may take its place."""
        await self._session.execute(delete(ImportFile).where(ImportFile.id == file.id))
        self._session.expunge(file)
