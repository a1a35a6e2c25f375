"""Lanes of the queue, and which jobs go where. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.thumbnailer.domain import INSPECTIONS, JobKind

SHORT_FILM_SEC: Final = 60.0
"""A film up to this long has all its artwork made in one run: starting a process costs more than the artwork."""


class Lane(StrEnum):
    """A queue of jobs of one priority."""

    UPLOAD_FACTS = "upload_facts"
    UPLOAD_ARTWORK = "upload_artwork"
    IMPORT_FACTS = "import_facts"
    IMPORT_ARTWORK = "import_artwork"
    REPROCESS = "reprocess"
    PROTECT = "protect"


@dataclass(frozen=True, slots=True)
class LaneRules:
    """How a lane shares the machine with others."""

    weight: int
    """Its share of the running time, in relation to that of other lanes with waiting jobs."""
    may_use_spare: bool
    """Whether it may use the one slot that is kept free of bulk work."""
    niceness: int
    artwork: Lane | None = None
    """Where artwork goes once the facts are there; None for this lane."""


RULES: Final = {
    Lane.UPLOAD_FACTS: LaneRules(32, may_use_spare=True, niceness=5, artwork=Lane.UPLOAD_ARTWORK),
    Lane.UPLOAD_ARTWORK: LaneRules(16, may_use_spare=True, niceness=10),
    Lane.IMPORT_FACTS: LaneRules(4, may_use_spare=False, niceness=15, artwork=Lane.IMPORT_ARTWORK),
    Lane.IMPORT_ARTWORK: LaneRules(2, may_use_spare=False, niceness=19),
    Lane.REPROCESS: LaneRules(1, may_use_spare=False, niceness=19),
    # Long, and an upload can't be watched before: ahead of other bulk work, but never in the way of an upload's facts.
    Lane.PROTECT: LaneRules(8, may_use_spare=False, niceness=10),
}


def first_batches(lane: Lane, kinds: Collection[JobKind]) -> list[list[JobKind]]:
    """Return the jobs to queue at first, by run. Those of artwork follow the facts, unless only they are wanted.

    Protecting is left out: it has a lane of its own.
    """
    wanted = [kind for kind in INSPECTIONS if kind in kinds]
    if lane is not Lane.REPROCESS and JobKind.FACTS in wanted:
        return [[JobKind.FACTS]]
    return [wanted] if wanted else []


def artwork_batches(duration_sec: float, *, has_text: bool, is_remote: bool) -> list[list[JobKind]]:
    """Return the jobs of artwork to queue after the facts, by run.

    Args:
        duration_sec: of the film.
        has_text: it has subtitles that can be converted.
        is_remote: it lies on another machine: pictures need only parts of it, the rest needs all.
    """
    pictures = [JobKind.THUMBNAIL, JobKind.POSTERS]
    whole = [JobKind.STORYBOARD, *([JobKind.SUBTITLES] if has_text else [])]
    return [pictures + whole] if duration_sec <= SHORT_FILM_SEC and not is_remote else [pictures, whole]


def known_kinds(names: Iterable[str]) -> list[JobKind]:
    """Return the kinds of these names, without unknown ones; all but protecting where there are no names at all."""
    given = list(names)
    return [kind for kind in JobKind if kind.value in given] if given else list(INSPECTIONS)
