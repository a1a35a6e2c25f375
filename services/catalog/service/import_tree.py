"""Import a tree of films: register what is new, follow what was renamed or replaced, hide what has vanished.

One pass over the folders compares each with what the last scan saw there; only what differs is read or written, some
files a transaction. Files that are not where they were are marked first and hidden at the end, because a later folder
may have them under another name. A stopped scan begins again from the top, where all that is done already costs no
more than a look.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from kit.db.database import Database
from services.catalog.captions import InvalidSubtitlesError, Track, sidecar_track
from services.catalog.captions.convert import MAX_BYTES
from services.catalog.domain import ImportState, SubtitleSource
from services.catalog.file_titles import TITLES
from services.catalog.repository.imports import ImportRepository
from services.catalog.service import import_changes, import_files
from services.catalog.service.import_batch import Batch
from services.catalog.service.import_comparison import Film, compare
from services.catalog.service.import_files import Listing
from services.catalog.service.jobs import JobFailedError, JobHandle, Step
from services.catalog.service.subtitles import Prepared, Subtitles

log = structlog.get_logger()

BATCH: Final = 100
"""Films of one transaction: other writes wait for one at most."""
_FOLDERS: Final = 500
_GROUP: Final = 64
"""Folders that are read, and compared with the database, at a time."""


@dataclass
class _Scan:
    """One run of a scan."""

    job: JobHandle
    root: Path
    folder: str
    prune: bool
    rescan: bool
    unchanged: int = 0
    seen: int = 0
    changed: list[Film] = field(default_factory=list)
    """Films that differ and wait to be taken."""
    results: list[tuple[str, str, str | None, str]] = field(default_factory=list)
    """Outcome, path, video and detail of what is not yet in the report."""


class ImportTree:
    """Scans the folder of imported films.

    Args:
        database: where the videos are.
        folder: the folder; None when there is none.
        subtitles: takes the subtitle files beside films.
    """

    def __init__(self, database: Database, folder: Path | None, subtitles: Subtitles) -> None:
        self._database = database
        self._root = folder
        self._subtitles = subtitles

    async def run(self, job: JobHandle) -> None:
        """Do a scan to its end.

        Raises:
            JobFailedError: the folder can't be read, or is empty although films were imported from it.
            JobStoppedError: an administrator stopped it.
        """
        if self._root is None:
            raise JobFailedError("MARQUEE_IMPORT_DIR is not set")
        options = job.options
        scan = _Scan(
            job, self._root, str(options.get("folder", "")), bool(options.get("prune")), bool(options.get("rescan"))
        )
        async with job.step() as step:
            # A job that goes on after a stop looks at everything once more.
            step.record.done = 0
            step.record.counts = {name: n for name, n in step.record.counts.items() if name != "unchanged"}
        await self._check_mount(scan)
        await self._walk(scan)
        await self._find_vanished_folders(scan)
        await self._hide_vanished(scan)
        async with job.step() as step:
            self._save(scan, step)
            step.finish()

    async def _check_mount(self, scan: _Scan) -> None:
        try:
            listing = await asyncio.to_thread(import_files.list_folder, scan.root, scan.folder)
            top = await asyncio.to_thread(import_files.list_folder, scan.root, "")
        except OSError as error:
            raise JobFailedError(f"the folder can't be read: {error.strerror}") from error
        if listing == Listing() and top == Listing():
            async with self._database.read() as session:
                if await ImportRepository(session).has_any():
                    raise JobFailedError("the folder is empty, but films were imported from it: is the share mounted?")

    async def _walk(self, scan: _Scan) -> None:
        waiting = [scan.folder]
        while waiting:
            group = [waiting.pop() for _ in range(min(_GROUP, len(waiting)))]
            listings = await asyncio.to_thread(import_files.list_folders, scan.root, group)
            async with self._database.read() as session:
                known = await ImportRepository(session).in_folders([import_files.key(folder) for folder in group])
            vanished: list[str] = []
            for folder, listing in listings.items():
                if isinstance(listing, OSError):
                    # What is in it may be there: nothing of it is taken for missing.
                    scan.results.append(("failed", folder, None, f"the folder can't be read: {listing.strerror}"))
                    continue
                waiting += [import_files.join(folder, name) for name in reversed(listing.folders)]
                before = known[import_files.key(folder)]
                found = await asyncio.to_thread(compare, folder, listing, before, rescan=scan.rescan)
                scan.seen += len(listing.films)
                scan.unchanged += found.unchanged
                scan.results += found.results
                vanished += found.vanished
                scan.changed += found.changed
                while len(scan.changed) >= BATCH:
                    await self._take(scan)
            async with scan.job.step() as step:
                imports = ImportRepository(step.transaction.session)
                for start in range(0, len(vanished), _GROUP):
                    await imports.vanish(vanished[start : start + _GROUP])
                self._save(scan, step)
        while scan.changed:
            await self._take(scan)

    async def _take(self, scan: _Scan) -> None:
        """Take the first films that differ, in one transaction."""
        films, scan.changed = scan.changed[:BATCH], scan.changed[BATCH:]
        paths = [film.path for film in films]
        digests = await asyncio.to_thread(import_files.fingerprints, scan.root, paths)
        titles = await asyncio.to_thread(lambda: {film.path: TITLES.of(film.entry.name) for film in films})
        async with self._database.read() as session:
            alike = await ImportRepository(session).like([each for each in digests.values() if isinstance(each, str)])
        # Looked for before the transaction: a share may be slow, and SQLite has one writer.
        elsewhere = [row.path for row in alike if row.state == ImportState.PRESENT and row.path not in digests]
        gone = await asyncio.to_thread(import_files.gone, scan.root, elsewhere)
        batch = Batch(scan.job, digests, titles, gone, rescan=scan.rescan)
        async with scan.job.step() as step:
            await batch.apply(step, films)
            scan.unchanged += batch.unchanged
            scan.results += batch.results
            self._save(scan, step)
        for film, video_id in batch.with_sidecars:
            await self._take_sidecars(scan, film, video_id)

    async def _take_sidecars(self, scan: _Scan, film: Film, video_id: str) -> None:
        """Take the subtitle files beside a film as they are now. One that can't be read does not hold up the others."""
        stem = film.entry.name.rpartition(".")[0]
        found: dict[Track, Prepared] = {}
        for entry in film.sidecars:
            path = import_files.join(film.folder, entry.name)
            track = sidecar_track(stem, entry.name)
            try:
                data = await asyncio.to_thread(import_files.read_small, scan.root, path, MAX_BYTES)
                prepared = await self._subtitles.prepare(data)
            except OSError as error:
                scan.results.append(("failed", path, video_id, f"it can't be read: {error.strerror}"))
                continue
            except InvalidSubtitlesError as error:
                scan.results.append(("failed", path, video_id, str(error)))
                continue
            if track is not None:
                found[track] = prepared
        tracks = [(track, "", prepared) for track, prepared in found.items()]
        await self._subtitles.attach(video_id, SubtitleSource.SIDECAR, tracks)
        async with scan.job.step() as step:
            row = (await ImportRepository(step.transaction.session).get([import_files.key(film.path)])).values()
            for each in row:
                each.sidecars = film.sidecar_digest

    async def _find_vanished_folders(self, scan: _Scan) -> None:
        cursor = ""
        while True:
            async with self._database.read() as session:
                folders = await ImportRepository(session).folders_after(cursor, _FOLDERS)
            if not folders:
                return
            cursor = folders[-1][0]
            keys = {path.rpartition("/")[0]: key for key, path in folders if _is_below(path, scan.folder)}
            gone = await asyncio.to_thread(import_files.gone, scan.root, [folder for folder in keys if folder])
            if gone:
                async with scan.job.step() as step:
                    repository = ImportRepository(step.transaction.session)
                    await repository.vanish_folders([keys[folder] for folder in gone])

    async def _hide_vanished(self, scan: _Scan) -> None:
        states = [ImportState.VANISHED, *([ImportState.MISSING] if scan.prune else [])]
        cursor = ""
        while True:
            async with scan.job.step() as step:
                imports = ImportRepository(step.transaction.session)
                files = await imports.in_states(states, cursor, BATCH)
                if not files:
                    return
                cursor = files[-1].id
                below = [file for file in files if _is_below(file.path, scan.folder)]
                videos = await imports.videos([file.video_id for file in below if file.video_id])
                for file in below:
                    await import_changes.hide(step.transaction, file, videos.get(file.video_id or ""), prune=scan.prune)
                    scan.results.append(("removed" if scan.prune else "missing", file.path, file.video_id, ""))
                self._save(scan, step)

    @staticmethod
    def _save(scan: _Scan, step: Step) -> None:
        """Write progress and report as far as they are."""
        step.record.done = scan.seen
        step.record.counts = step.record.counts | {"unchanged": scan.unchanged}
        step.report([scan.job.result(*result) for result in scan.results])
        scan.results.clear()


def _is_below(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")
