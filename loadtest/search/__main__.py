"""Measure lists, rows and search on SQLite and PostgreSQL: `python -m loadtest.search`.

Parts can be measured one by one: each adds its results to a file, and the page is made of all that are in it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from kit.db.database import Database
from kit.testing.servers import PostgresServer, server_directory
from loadtest.search import index_size, library
from loadtest.search.quality import Finder, fts5, marquee, measure, pg_trgm
from loadtest.search.report import page_of
from loadtest.search.results import POSTGRESQL, SQLITE, Quality, Results, Speed
from loadtest.search.speed import Plan, measure_speed
from loadtest.search.titles import Queries, make_titles
from loadtest.search.viewing import Viewing

REPORT = "benchmarks-search.md"
_QUALITY_FILMS, _QUERIES, _TYPED, _HALVES = 20_000, 2000, 100, 200
_QUICK = 500
_LEAST_SCALE = 0.05
PARTS = ("quality", "small", "large")
SMALL = Plan(20_000, Viewing(2_000, 200_000), seconds=5)
LARGE = Plan(100_000, Viewing(10_000, 1_000_000), seconds=5)
_QUICK_PLAN = Plan(_QUICK, Viewing(50, 5_000), seconds=0.5)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print the page, and write it into the docs after a full run."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.search", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look at a few hundred films")
    parser.add_argument("--scale", type=_scale, default=1.0, help="this share of films, viewers and queries: 0.1")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be given more than once")
    parser.add_argument("--database", action="append", choices=(SQLITE, POSTGRESQL), help="speed on this one only")
    parser.add_argument("--results", type=Path, help="add to the results of earlier runs in this file")
    parser.add_argument("--docs", type=Path, help=f"write {REPORT} here, after a full run")
    given = parser.parse_args(words)
    results = Results()
    if given.results and given.results.exists():
        results = Results.model_validate_json(given.results.read_text())
    with tempfile.TemporaryDirectory(prefix="marquee-search-") as folder:
        for part in given.part or PARTS[: 2 if given.quick else None]:
            if part == "quality":
                films = _QUICK if given.quick else int(given.scale * _QUALITY_FILMS)
                results.quality = _quality(Path(folder), films, share=0.1 if given.quick else given.scale)
            else:
                plan = _QUICK_PLAN if given.quick else {"small": SMALL, "large": LARGE}[part].scaled(given.scale)
                for database in given.database or (SQLITE, POSTGRESQL):
                    results.speed = [
                        *(each for each in results.speed if (each.database, each.films) != (database, plan.films)),
                        _speed(Path(folder) / f"{part}-{database}", plan, database),
                    ]
            if given.results:
                given.results.write_text(results.model_dump_json(indent=1))
    page = page_of(results)
    sys.stdout.write(page)
    if given.docs and not given.quick and given.scale == 1:
        (given.docs / REPORT).write_text(page)


def _speed(folder: Path, plan: Plan, database: str) -> Speed:
    folder.mkdir()
    titles = make_titles(plan.films)
    if database == SQLITE:
        urls = [f"sqlite+aiosqlite:///{folder / name}.db" for name in ("catalog", "progress")]
        routes = measure_speed(plan, titles, folder, (urls[0], urls[1]), None)
        return Speed(database=database, films=plan.films, at=_now(), load=_load(), commit=_commit(), **routes)
    with server_directory() as place, PostgresServer(place) as server:
        urls = [server.create_database(name) for name in ("catalog", "progress")]
        routes = measure_speed(plan, titles, folder, (urls[0], urls[1]), server.pid)
        return Speed(database=database, films=plan.films, at=_now(), load=_load(), commit=_commit(), **routes)


def _scale(text: str) -> float:
    """Return the share of a full run. Raises ArgumentTypeError for none, too little or more than all."""
    try:
        share = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not _LEAST_SCALE <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be {_LEAST_SCALE} to 1")
    return share


def _quality(folder: Path, films: int, *, share: float) -> list[Quality]:
    titles = make_titles(films)
    with server_directory() as place, PostgresServer(place) as server:
        urls = {
            f"Marquee, {SQLITE}": f"sqlite+aiosqlite:///{folder / 'quality.db'}",
            f"Marquee, {POSTGRESQL}": server.create_database("quality"),
        }
        for url in urls.values():
            library.create(url)
        return asyncio.run(_find_all(titles, urls, server.create_database("trigrams"), share))


async def _find_all(titles: list[str], urls: dict[str, str], trigrams: str, share: float) -> list[Quality]:
    queries = Queries(titles)
    wanted, typed = queries.make(int(share * _QUERIES)), queries.typed(int(share * _TYPED))
    halves = queries.half_words(int(share * _HALVES))
    databases = {name: Database(url) for name, url in urls.items()}
    sizes: dict[str, float | None] = {}
    for name, database in databases.items():
        await library.fill(database, titles)
        sizes[name] = await index_size.ratio(database, titles)
    finders: dict[str, Finder] = {name: marquee(database) for name, database in databases.items()}
    finders["FTS5 unicode61"] = fts5(titles, "unicode61")
    finders["FTS5 trigram"] = fts5(titles, "trigram")
    finders["pg_trgm"] = await pg_trgm(trigrams, titles)
    reached = [
        (await measure(find, titles, wanted, typed, halves, queries)).model_copy(
            update={"name": name, "index_ratio": sizes.get(name), "films": len(titles)}
        )
        for name, find in finders.items()
    ]
    for database in databases.values():
        await database.close()
    return reached


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M}"


def _load() -> float:
    """Return the processes that ran or waited for a processor, on average over the last minute."""
    return os.getloadavg()[0]


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - where git is, is the developer's choice
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip()


if __name__ == "__main__":
    main()
