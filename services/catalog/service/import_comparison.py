"""Compare what is in a folder with what the last scan saw there.

No I/O; a large folder takes a second: call it in a thread.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kit.media import InvalidReferenceError
from kit.origins.references import check_path
from services.catalog.captions import sidecar_track
from services.catalog.domain import ImportState
from services.catalog.repository.imports import KnownFile
from services.catalog.service import import_files
from services.catalog.service.import_files import Entry, Listing


@dataclass(frozen=True, slots=True)
class Film:
    """A film that a scan has found."""

    path: str
    entry: Entry
    sidecars: tuple[Entry, ...]

    @property
    def folder(self) -> str:
        """The path of its folder; empty for the topmost one."""
        return self.path.rpartition("/")[0]

    @property
    def sidecar_digest(self) -> str:
        """Digest of its subtitle files; empty without any."""
        if not self.sidecars:
            return ""
        text = "\n".join(f"{each.name}\t{each.size}\t{each.mtime_ns}" for each in self.sidecars)
        return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


@dataclass
class Comparison:
    """What differs in a folder."""

    changed: list[Film] = field(default_factory=list)
    """New, or not as they were."""
    vanished: list[str] = field(default_factory=list)
    """Ids of the files that are not there any more."""
    unchanged: int = 0
    results: list[tuple[str, str, str | None, str]] = field(default_factory=list)
    """Outcome, path, video and detail of what can't be taken."""


def compare(folder: str, listing: Listing, known: Mapping[str, KnownFile], *, rescan: bool) -> Comparison:
    """Return what differs; with `rescan` every film counts as changed."""
    found, left = Comparison(), dict(known)
    names = [entry.name for entry in listing.sidecars]
    for entry in listing.films:
        path = import_files.join(folder, entry.name)
        try:
            check_path(path)
        except InvalidReferenceError as error:
            found.results.append(("failed", path, None, f"its name can't be served: {error}"))
            continue
        row = left.pop(import_files.key(path), None)
        if not entry.size:
            found.results.append(("failed", path, row.video_id if row else None, "the file is empty"))
            continue
        film = Film(path, entry, _sidecars(entry.name, listing.sidecars, names))
        if row is None or rescan or _differs(row, film):
            found.changed.append(film)
            continue
        found.unchanged += 1
        if row.status == "failed":
            found.results.append(("failed", path, row.video_id, f"there already, failed: {row.failure_reason}"))
    found.vanished = [identifier for identifier, row in left.items() if row.state == ImportState.PRESENT]
    return found


def _differs(row: KnownFile, film: Film) -> bool:
    is_same = (row.size, row.mtime_ns) == (film.entry.size, film.entry.mtime_ns)
    return not is_same or row.state != ImportState.PRESENT or row.sidecars != film.sidecar_digest


def _sidecars(film: str, candidates: Sequence[Entry], names: Sequence[str]) -> tuple[Entry, ...]:
    """Return the subtitle files of a film: their names, which are sorted, begin with the film's."""
    stem = film.rpartition(".")[0]
    found = []
    for index in range(bisect_left(names, stem), len(names)):
        if not names[index].startswith(stem):
            break
        if sidecar_track(stem, names[index]):
            found.append(candidates[index])
    return tuple(found)
