"""Print the quality of search on both databases beside FTS5 and pg_trgm: `python -m loadtest.search`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from kit.db.database import Database
from kit.testing.servers import PostgresServer, server_directory
from loadtest.search import library
from loadtest.search.quality import Finder, Quality, fts5, marquee, measure, pg_trgm
from loadtest.search.titles import Queries, make_titles


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.search", description=__doc__)
    parser.add_argument("--films", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--typed", type=int, default=100, help="titles of which every key stroke is searched")
    given = parser.parse_args()
    titles = make_titles(given.films)
    with server_directory() as folder, PostgresServer(folder) as server, tempfile.TemporaryDirectory() as files:
        urls = {
            "Marquee, SQLite": f"sqlite+aiosqlite:///{Path(files) / 'catalog.db'}",
            "Marquee, PostgreSQL": server.create_database("catalog"),
        }
        for url in urls.values():
            library.create(url)
        asyncio.run(_run(titles, urls, server.create_database("trigrams"), given))


async def _run(titles: list[str], urls: dict[str, str], trigrams: str, given: argparse.Namespace) -> None:
    queries = Queries(titles)
    wanted, typed, halves = queries.make(given.queries), queries.typed(given.typed), queries.half_words(200)
    databases = {name: Database(url) for name, url in urls.items()}
    for name, database in databases.items():
        spent = await library.fill(database, titles)
        sys.stdout.write(f"{name}: indexed in {1000 * spent:.2f} ms a film\n")
    finders: dict[str, Finder] = {name: marquee(database) for name, database in databases.items()}
    finders["FTS5 unicode61"] = fts5(titles, "unicode61")
    finders["FTS5 trigram"] = fts5(titles, "trigram")
    finders["pg_trgm"] = await pg_trgm(trigrams, titles)
    for name, find in finders.items():
        _show(name, await measure(find, titles, wanted, typed, halves, queries))
    for database in databases.values():
        await database.close()


def _show(name: str, reached: Quality) -> None:
    recall = ", ".join(f"{kind} {share:.3f}" for kind, share in reached.recall.items())
    sys.stdout.write(
        f"{name}: recall@10 {recall}; of {reached.strokes} key strokes {reached.strokes_missed} missed, "
        f"{reached.strokes_empty} empty; precision of half a word {reached.precision:.3f}\n"
    )


if __name__ == "__main__":
    main()
