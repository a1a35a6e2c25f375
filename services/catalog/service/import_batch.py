"""Some films of one folder, taken in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kit.ids import new_id
from kit.origins import Imported
from services.catalog.domain import ImportState
from services.catalog.models import ImportFile, Video
from services.catalog.repository.imports import ImportRepository
from services.catalog.service import import_changes, import_files
from services.catalog.service.arrival import new_video
from services.catalog.service.events import uploaded_event
from services.catalog.service.import_comparison import Film
from services.catalog.service.jobs import JobHandle, Step

_ASSUMED_TYPE: Final = "video/mp4"


@dataclass(frozen=True, slots=True)
class _Labels:
    title: str
    description: str
    tags: list[str]
    corporation_id: None
    protection: str = ""


class Batch:
    """Compares films that are new or changed with what is known, and applies the difference.

    Args:
        job: the scan.
        digests: by path: the fingerprint, or why the file can't be read.
        titles: by path.
        gone: paths of other files with these fingerprints, at which there is nothing any more.
        rescan: process every film again, also those whose fingerprint is the same.
    """

    def __init__(
        self,
        job: JobHandle,
        digests: Mapping[str, str | OSError],
        titles: Mapping[str, str],
        gone: Collection[str],
        *,
        rescan: bool,
    ) -> None:
        self._job = job
        self._gone = gone
        self._digests = digests
        self._titles = titles
        self._rescan = rescan
        self.unchanged = 0
        self.results: list[tuple[str, str, str | None, str]] = []
        """Outcome, path, video and detail."""
        self.with_sidecars: list[tuple[Film, str]] = []
        """Films whose subtitle files are to be taken, with their videos."""

    async def apply(self, step: Step, films: Sequence[Film]) -> None:
        """Write what these films change."""
        imports = ImportRepository(step.transaction.session)
        known = await imports.get([import_files.key(film.path) for film in films])
        new = [film for film in films if import_files.key(film.path) not in known]
        owners = await imports.owners([str(Imported(film.path)) for film in new])
        moved = await self._moved(imports, [film for film in new if str(Imported(film.path)) not in owners])
        rows = [*known.values(), *moved.values()]
        ids = [row.video_id for row in rows if row.video_id] + [video_id for video_id, _ in owners.values()]
        videos = await imports.videos(ids)
        added: list[Video] = []
        files: list[ImportFile] = []
        for film in films:
            digest = self._digests[film.path]
            row = known.get(import_files.key(film.path))
            if isinstance(digest, OSError):
                self.results.append(
                    ("failed", film.path, row.video_id if row else None, f"it can't be read: {digest.strerror}")
                )
                continue
            owner = owners.get(str(Imported(film.path)))
            if row is not None:
                await self._known(step, film, digest, row, videos.get(row.video_id or ""))
            elif owner is not None:
                row = self._row(film, digest, owner[0])
                files.append(row)
                await self._adopted(step, film, row, videos.get(owner[0]), size=owner[1])
            elif former := moved.get(film.path):
                row = await self._renamed(step, imports, film, former, videos.get(former.video_id or ""))
            else:
                video = self._video(film)
                row = self._row(film, digest, video.id)
                added.append(video)
                files.append(row)
                self.results.append(("added", film.path, video.id, ""))
            if row.video_id and row.sidecars != film.sidecar_digest:
                self.with_sidecars.append((film, row.video_id))
        step.transaction.session.add_all(added)
        await step.transaction.session.flush()
        imports.add_all(files)
        for video in added:
            await step.transaction.record(uploaded_event(video, video.assets[0]))

    async def _moved(self, imports: ImportRepository, films: Sequence[Film]) -> dict[str, ImportFile]:
        """Return the rows of films that lie under another name now, by their present path."""
        wanted = {film.path: digest for film in films if isinstance(digest := self._digests[film.path], str)}
        if not wanted:
            return {}
        alike = await imports.like(list(wanted.values()))
        free = [row for row in alike if row.state != ImportState.PRESENT or row.path in self._gone]
        found: dict[str, ImportFile] = {}
        for path, digest in wanted.items():
            matching = [row for row in free if row.fingerprint == digest]
            if matching:
                # Of several with the same content, the one that has kept its name.
                name = path.rpartition("/")[2]
                chosen = min(matching, key=lambda row: row.path.rpartition("/")[2] != name)
                free.remove(chosen)
                found[path] = chosen
        return found

    async def _known(self, step: Step, film: Film, digest: str, row: ImportFile, video: Video | None) -> None:
        is_same = (row.size_bytes, row.fingerprint) == (film.entry.size, digest)
        was_away = row.state in (ImportState.MISSING, ImportState.PRUNED)
        row.size_bytes, row.mtime_ns, row.fingerprint = film.entry.size, film.entry.mtime_ns, digest
        if not is_same or self._rescan:
            await import_changes.replace(step.transaction, row, video)
            self.results.append(("replaced", film.path, row.video_id, ""))
            return
        await import_changes.show(step.transaction, row, video)
        if was_away:
            self.results.append(("returned", film.path, row.video_id, ""))
        else:
            self.unchanged += 1

    async def _adopted(self, step: Step, film: Film, row: ImportFile, video: Video | None, *, size: int) -> None:
        """Take over a film that was imported by its own name, before or between scans."""
        if size == film.entry.size and not self._rescan:
            self.unchanged += 1
            return
        await import_changes.replace(step.transaction, row, video)
        self.results.append(("replaced", film.path, row.video_id, ""))

    async def _renamed(
        self, step: Step, imports: ImportRepository, film: Film, former: ImportFile, video: Video | None
    ) -> ImportFile:
        row = self._row(film, former.fingerprint, former.video_id)
        row.state, row.sidecars = former.state, former.sidecars
        self.results.append(("renamed", film.path, former.video_id, former.path))
        await imports.forget(former)
        await import_changes.rename(step.transaction, row, video)
        imports.add_all([row])
        return row

    def _row(self, film: Film, digest: str, video_id: str | None) -> ImportFile:
        return ImportFile(
            id=import_files.key(film.path),
            folder_key=import_files.key(film.folder),
            path=film.path,
            video_id=video_id,
            size_bytes=film.entry.size,
            mtime_ns=film.entry.mtime_ns,
            fingerprint=digest,
            sidecars="",
            state=ImportState.PRESENT,
        )

    def _video(self, film: Film) -> Video:
        return new_video(
            new_id(),
            str(Imported(film.path)),
            size_bytes=film.entry.size,
            mime_type=_ASSUMED_TYPE,
            labels=_Labels(self._titles[film.path], "", [], None),
            uploader_id=self._job.admin.user_id,
        )
