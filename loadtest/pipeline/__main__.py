"""The command line of the pipeline's benchmark: `python -m loadtest.pipeline`."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from loadtest.pipeline import bare
from loadtest.pipeline.bare import Cost, Meter
from loadtest.pipeline.uploads import marquee, seconds_to_thumbnail
from lsv import ContentKey
from services.thumbnailer.domain import JobKind
from services.thumbnailer.media.inspection import Limits, inspect
from services.thumbnailer.media.packing.packer import FilmPacker

LIMITS = Limits(wall_sec=600, cpu_sec=600, memory_bytes=2 * 2**30, niceness=0)
TINY_RUNS = ((JobKind.FACTS,), (JobKind.THUMBNAIL, JobKind.POSTERS, JobKind.STORYBOARD))
"""The runs of a short film: first the facts, then all its artwork."""
REPORT = "benchmarks-pipeline.md"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    uploads: int
    upload_sec: int
    upload_bitrate: str
    storyboard_sec: int
    rounds: int
    tiny_films: int


FULL = Plan(uploads=50, upload_sec=80, upload_bitrate="10M", storyboard_sec=600, rounds=3, tiny_films=20)
QUICK = Plan(uploads=5, upload_sec=20, upload_bitrate="4M", storyboard_sec=120, rounds=1, tiny_films=5)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    upload_bytes: int
    thumbnails_sec: list[float]
    storyboard: list[Cost]
    bare_storyboard: list[Cost]
    packs: list[Cost]
    bare_packs: list[Cost]
    tiny: Cost
    bare_tiny: Cost


def measure(plan: Plan, folder: Path) -> Figures:
    """Carry out the plan in a folder for temporary files."""
    tiny = bare.make_film(folder / "tiny.mp4", 5, "320x180")
    made = Meter()
    for _ in range(plan.tiny_films):
        for kinds in TINY_RUNS:
            asyncio.run(inspect(tiny, kinds, LIMITS))
    tiny_cost = made.cost()
    bare_made = Meter()
    for _ in range(plan.tiny_films):
        bare.everything(tiny, folder)
    bare_tiny_cost = bare_made.cost()
    film = bare.make_film(folder / "film.mp4", plan.storyboard_sec, "1280x720")
    boards, bare_boards = [], []
    packs: list[Cost] = []
    bare_packs: list[Cost] = []
    for _ in range(plan.rounds):
        meter = Meter()
        report = asyncio.run(inspect(film, [JobKind.STORYBOARD], LIMITS))
        boards.append(meter.cost())
        if report.failures:
            raise RuntimeError(f"no storyboard: {report.failures}")
        meter = Meter()
        bare.storyboard(film, folder)
        bare_boards.append(meter.cost())
        meter = Meter()
        pack = folder / f"pack-{len(packs)}"
        asyncio.run(FilmPacker(pack, ContentKey.generate(), uuid4(), 1, LIMITS).pack(film))
        packs.append(meter.cost())
        shutil.rmtree(pack)
        meter = Meter()
        bare.remux(film, folder)
        bare_packs.append(meter.cost())
    upload = bare.make_film(folder / "upload.mp4", plan.upload_sec, "1280x720", bitrate=plan.upload_bitrate)
    with marquee(folder / "data") as client:
        thumbnails = [seconds_to_thumbnail(client, upload) for _ in range(plan.uploads)]
    return Figures(upload.stat().st_size, thumbnails, boards, bare_boards, packs, bare_packs, tiny_cost, bare_tiny_cost)


def report_of(plan: Plan, figures: Figures) -> str:
    """Return the page of the results, in Markdown."""
    thumbnails = sorted(figures.thumbnails_sec)
    p95 = thumbnails[min(len(thumbnails) - 1, round(0.95 * len(thumbnails)))]
    board, bare_board = _median(figures.storyboard), _median(figures.bare_storyboard)
    pack, bare_pack = _median(figures.packs), _median(figures.bare_packs)
    tiny, bare_tiny = (each.cpu_sec / plan.tiny_films for each in (figures.tiny, figures.bare_tiny))
    rows = [
        (
            f"thumbnail after the 201 of {figures.upload_bytes / 1e6:.0f} MB, p50 · p95 of {len(thumbnails)}",
            f"{statistics.median(thumbnails):.2f} · {p95:.2f} s",
            "-",
            "p95 of 2 s",
        ),
        (
            f"storyboard of {plan.storyboard_sec / 60:.0f} minutes of 720p, wall",
            f"{board.wall_sec:.2f} s",
            f"{bare_board.wall_sec:.2f} s",
            f"{board.wall_sec / bare_board.wall_sec:.2f} of 1.3",
        ),
        _processor_row(board, bare_board),
        (
            f"LSV pack of {plan.storyboard_sec / 60:.0f} minutes of 720p (bare: remuxed only), wall",
            f"{pack.wall_sec:.2f} s",
            f"{bare_pack.wall_sec:.2f} s",
            f"{plan.storyboard_sec / pack.wall_sec:.0f} of 50 times real time",
        ),
        _processor_row(pack, bare_pack),
        (
            "facts and all artwork of a tiny film, processor",
            f"{tiny * 1000:.0f} ms",
            f"{bare_tiny * 1000:.0f} ms",
            f"{tiny / bare_tiny:.2f} of 1.5",
        ),
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    day, load = datetime.now(UTC).date(), os.getloadavg()[1]
    return f"""# The media pipeline, measured

Made by `make bench` (`python -m loadtest.pipeline`) on {day}, with {os.cpu_count()} processors and a load
of {load:.1f} over five minutes; of the figures of a busy machine trust the ratios only. Bare ffmpeg makes the same
pictures from the same file in the same run, without confinement, checks and durable files.

| what | Marquee | bare ffmpeg | ratio or promise |
| --- | --- | --- | --- |
{table}
"""


def _median(costs: Sequence[Cost]) -> Cost:
    wall, cpu = (statistics.median(each) for each in zip(*((c.wall_sec, c.cpu_sec) for c in costs), strict=True))
    return Cost(wall, cpu)


def _processor_row(cost: Cost, bare_cost: Cost) -> tuple[str, str, str, str]:
    ratio = cost.cpu_sec / bare_cost.cpu_sec
    return "the same, processor", f"{cost.cpu_sec:.2f} s", f"{bare_cost.cpu_sec:.2f} s", f"{ratio:.2f}"


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the results, and write them into the docs after a full run."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.pipeline", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute: fewer and shorter films")
    parser.add_argument("--docs", type=Path, help=f"write {REPORT} here, after a full run")
    given = parser.parse_args(words)
    plan = QUICK if given.quick else FULL
    with tempfile.TemporaryDirectory(prefix="marquee-pipeline-") as folder:
        page = report_of(plan, measure(plan, Path(folder)))
    sys.stdout.write(page)
    if given.docs and not given.quick:
        (given.docs / REPORT).write_text(page)


if __name__ == "__main__":
    main()
