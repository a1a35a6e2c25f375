"""Read the folder of imported films: what is in it, and what tells files apart. Everything here blocks."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kit.media import open_below
from services.catalog.captions.names import SUFFIXES

FILMS: Final = frozenset({".m4v", ".mkv", ".mov", ".mp4", ".webm"})
"""Suffixes of the files that a scan takes; a film imported by its own name needs none of them."""
_SKIPPED: Final = frozenset(
    {"@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
)
"""Folders that file servers keep for themselves."""
_SAMPLE_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a folder."""

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a folder. Links, and names that begin with a dot, are left out."""

    films: list[Entry] = field(default_factory=list)
    sidecars: list[Entry] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def key(path: str) -> str:
    """Return a digest of a path: paths are too long for an index."""
    return hashlib.blake2b(path.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def join(folder: str, name: str) -> str:
    """Return the path of a file in a folder, both relative; the topmost folder is empty."""
    return f"{folder}/{name}" if folder else name


def list_folder(root: Path, folder: str) -> Listing:
    """Return what is in a folder, in the order of names. Raises OSError when it can't be read."""
    descriptor = _open_folder(root, folder)
    listing = Listing()
    try:
        with os.scandir(descriptor) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.name.startswith(".") or entry.name in _SKIPPED:
                    continue
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - names are no paths here
                if stat.S_ISDIR(facts.st_mode):
                    listing.folders.append(entry.name)
                elif stat.S_ISREG(facts.st_mode) and suffix in FILMS:
                    listing.films.append(Entry(entry.name, facts.st_size, facts.st_mtime_ns))
                elif stat.S_ISREG(facts.st_mode) and suffix in SUFFIXES:
                    listing.sidecars.append(Entry(entry.name, facts.st_size, facts.st_mtime_ns))
    finally:
        os.close(descriptor)
    return listing


def list_folders(root: Path, folders: Sequence[str]) -> dict[str, Listing | OSError]:
    """Return what is in each of these folders, or why it can't be read."""
    found: dict[str, Listing | OSError] = {}
    for folder in folders:
        try:
            found[folder] = list_folder(root, folder)
        except OSError as error:
            found[folder] = error
    return found


def fingerprint(root: Path, path: str) -> str:
    """Return a digest of a file's size, beginning, middle and end: quick, and different for different films.

    Raises:
        OSError: it can't be read.
    """
    descriptor = open_below(root, path)
    try:
        size = os.fstat(descriptor).st_size
        digest = hashlib.blake2b(str(size).encode(), digest_size=16)
        for offset in sorted({0, max(0, size // 2), max(0, size - _SAMPLE_BYTES)}):
            digest.update(os.pread(descriptor, _SAMPLE_BYTES, offset))
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def fingerprints(root: Path, paths: list[str]) -> dict[str, str | OSError]:
    """Return the digest of each file, or why it can't be read."""
    found: dict[str, str | OSError] = {}
    for path in paths:
        try:
            found[path] = fingerprint(root, path)
        except OSError as error:
            found[path] = error
    return found


def read_small(root: Path, path: str, limit: int) -> bytes:
    """Return the content of a file, one byte more than `limit` of a longer one. Raises OSError."""
    with os.fdopen(open_below(root, path), "rb") as file:
        return file.read(limit + 1)


def gone(root: Path, paths: list[str]) -> set[str]:
    """Return those of these paths where there is nothing any more; one that can't be looked at is there."""
    found = set()
    for path in paths:
        try:
            os.close(_open_folder(root, path))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                found.add(path)
    return found


def _open_folder(root: Path, folder: str) -> int:
    if folder:
        return open_below(root, folder)
    return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
