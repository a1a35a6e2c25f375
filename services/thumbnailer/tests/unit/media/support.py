"""A thumbnail or a failure of a file, and the processes that are left."""

from __future__ import annotations

import asyncio
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.thumbnailer.domain import INSPECTIONS, JobKind
from services.thumbnailer.media import inspection
from services.thumbnailer.media.artwork_files import save_files
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.media.inspection import Limits, inspect
from services.thumbnailer.tests.unit.films import Thumbnail

if TYPE_CHECKING:
    from collections.abc import Collection

    from services.thumbnailer.domain import MediaInfo
    from services.thumbnailer.results import Report


BLACK, WHITE = 16, 235
ROOT = Path(inspection.__file__).parents[3]


async def process(source: Path, thumbnail: Path, limits: Limits = inspection.DEFAULT_LIMITS) -> MediaInfo:
    """Return the facts of a film, and save its thumbnail."""
    report = await inspect(source, [JobKind.FACTS, JobKind.THUMBNAIL], limits)
    for failure in report.failures.values():
        raise MediaError(failure)
    save_files(thumbnail.parent, {thumbnail.name: report.files[JobKind.THUMBNAIL]["thumbnail.jpg"]})
    assert report.facts
    return report.facts.info


PATIENT = Limits(wall_sec=300)
"""For tests of what is made, on a busy machine."""


def made_of(source: Path, kinds: Collection[JobKind] = INSPECTIONS, limits: Limits = PATIENT) -> Report:
    """Do all jobs, or some, for a film."""
    report = asyncio.run(inspect(source, kinds, limits))
    assert_no_children()
    return report


def look(source: Path, artwork: Path, limits: Limits = inspection.DEFAULT_LIMITS) -> tuple[MediaInfo, Thumbnail]:
    info = asyncio.run(process(source, artwork / "thumbnail.jpg", limits))
    assert names(artwork) == ["thumbnail.jpg"]
    return info, Thumbnail.read(artwork / "thumbnail.jpg")


def failure_of(source: Path, artwork: Path, limits: Limits = inspection.DEFAULT_LIMITS) -> str:
    with pytest.raises(MediaError) as caught:
        asyncio.run(process(source, artwork / "thumbnail.jpg", limits))
    assert names(artwork) == []
    assert_no_children()
    return caught.value.failure.code


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def children() -> set[int]:
    """Return the child processes of this one, including those that ended and were not waited for (proc(5))."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name before it may hold spaces and brackets.
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


OTHERS: set[int] = set()
"""Children that were there before the test: servers that the whole session shares."""


def assert_no_children() -> None:
    assert children() <= OTHERS


def boxes(data: bytes) -> dict[str, tuple[int, int]]:
    """Return start and end of each top-level box."""
    found, at = {}, 0
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        found[name.decode()] = (at, at + length)
        at += length
    return found


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
