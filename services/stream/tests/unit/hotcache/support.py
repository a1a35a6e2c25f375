"""Films of known bytes, and copies of them."""

from __future__ import annotations

import os
from pathlib import Path

from services.stream.hotcache.copy_writer import Copy, CopyWriter
from services.stream.hotcache.directory import CopyDirectory
from services.stream.hotcache.manifest import CopyManifest
from services.stream.tests.support import asset_of

MIB = 2**20
FILMS = tuple(f"00000000-0000-4000-8000-{number:012d}" for number in range(4))


def manifest_of(video_id: str, size: int, version: int = 1) -> CopyManifest:
    """The manifest of a film of this size."""
    return CopyManifest(
        asset_id=asset_of(video_id),
        video_id=video_id,
        version=version,
        state=f"{size:x}-{version:x}",
        size=size,
        modified_ns=version,
    )


def content_of(manifest: CopyManifest) -> bytes:
    """The bytes of a film: its key, over and over."""
    return (manifest.key.encode() * (manifest.size // len(manifest.key) + 1))[: manifest.size]


def begin(folder: CopyDirectory, manifest: CopyManifest) -> CopyWriter:
    """Begins a copy that is expected to be wanted."""
    part, _ = folder.reserve(manifest)
    assert part is not None
    return part


def put(folder: CopyDirectory, manifest: CopyManifest) -> Copy:
    """Makes a whole copy."""
    part = begin(folder, manifest)
    part.write(0, content_of(manifest))
    part.sync()
    return part.finish(manifest)


def die(part: CopyWriter) -> None:
    """What the kernel does when the process that makes a copy dies."""
    assert part._descriptor is not None
    os.close(part._descriptor)
    part._descriptor = None


def copied(folder: CopyDirectory) -> dict[str, Copy]:
    """Return the whole copies by video."""
    return {copy.manifest.video_id: copy for copy in folder.copies().values()}


def names(root: Path) -> set[str]:
    """What lies in the folder, but for its lock."""
    return {path.name for path in root.iterdir()} - {"marquee-hot-cache.lock"}
