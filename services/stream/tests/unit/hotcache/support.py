"""Films of known bytes, and copies of them."""

from __future__ import annotations

import os
from pathlib import Path

from services.stream.hotcache.facts import Facts
from services.stream.hotcache.folder import Folder
from services.stream.hotcache.part import Copy, Part

MIB = 2**20
FILMS = tuple(f"00000000-0000-4000-8000-{number:012d}" for number in range(4))


def facts_of(video_id: str, size: int, version: int = 1) -> Facts:
    """Facts of a film of this size."""
    return Facts(video_id=video_id, version=version, state=f"{size:x}-{version:x}", size=size, modified_ns=version)


def content_of(facts: Facts) -> bytes:
    """The bytes of a film: its key, over and over."""
    return (facts.key.encode() * (facts.size // len(facts.key) + 1))[: facts.size]


def begin(folder: Folder, facts: Facts) -> Part:
    """Begins a copy that is expected to be wanted."""
    part, _ = folder.reserve(facts)
    assert part is not None
    return part


def put(folder: Folder, facts: Facts) -> Copy:
    """Makes a whole copy."""
    part = begin(folder, facts)
    part.write(0, content_of(facts))
    part.sync()
    return part.finish(facts)


def die(part: Part) -> None:
    """What the kernel does when the process that makes a copy dies."""
    assert part._descriptor is not None
    os.close(part._descriptor)
    part._descriptor = None


def names(root: Path) -> set[str]:
    """What lies in the folder, but for its lock."""
    return {path.name for path in root.iterdir()} - {"marquee-hot-cache.lock"}
