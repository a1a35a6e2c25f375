"""What generated viewers have watched: records, play sessions, counts and points, written in bulk."""

from __future__ import annotations

import random
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from kit.db.migrations import upgrade
from kit.ids import derived_id
from services.progress.__main__ import MIGRATIONS

_DAYS = 60
_SOME_FILMS = 50
_FILM_SEC = 3600.0
_COMPLETED_SEC = 2900.0

Cell = str | int | float | bool | datetime | date | None


def user_id(number: int) -> str:
    """Return the id of a generated viewer."""
    return str(uuid.UUID(int=(0x7 << 76) | (0x8 << 60) | number))


@dataclass(frozen=True, slots=True)
class Viewing:
    """How much is watched."""

    users: int
    views: int


def fill(url: str, films: Sequence[str], viewing: Viewing, seed: int = 3) -> None:
    """Make progress's tables and fill them: films that come first are watched most.

    Args:
        url: of an empty database.
        films: ids.
        viewing: how many users and play sessions.
        seed: the same seed gives the same.
    """
    upgrade(MIGRATIONS, url)
    source = random.Random(seed)  # noqa: S311 - no secret
    weights = list(accumulate(1 / (rank + _SOME_FILMS) for rank in range(len(films))))
    begin = datetime.now(UTC) - timedelta(days=_DAYS)
    step = timedelta(days=_DAYS) / max(1, viewing.views)
    watched: dict[tuple[int, str], tuple[datetime, float]] = {}
    counts: dict[tuple[date, str], int] = {}
    sessions: list[tuple[Cell, ...]] = []
    for number, film in enumerate(source.choices(films, cum_weights=weights, k=viewing.views)):
        viewer, at, seconds = source.randrange(viewing.users), begin + number * step, float(source.randrange(5, 3000))
        watched[viewer, film] = at, seconds
        counts[at.date(), film] = counts.get((at.date(), film), 0) + 1
        sessions.append(
            (
                derived_id("session", str(number)),
                user_id(viewer),
                film,
                "web",
                at,
                True,
                at + timedelta(seconds=seconds),
                seconds,
                1_000_000,
            )
        )
    tables: dict[str, tuple[str, Iterable[tuple[Cell, ...]]]] = {
        "viewers": ("user_id", ((user_id(number),) for number in range(viewing.users))),
        "view_log": ("session_id user_id video_id source started_at begun stopped_at seconds bytes", sessions),
        "view_counts": ("day video_id views", ((day, film, views) for (day, film), views in counts.items())),
        "watch_progress": (
            "user_id video_id position_sec duration_sec completed updated_at version",
            (
                (user_id(viewer), film, seconds, _FILM_SEC, seconds > _COMPLETED_SEC, at, 1)
                for (viewer, film), (at, seconds) in watched.items()
            ),
        ),
        "point_ledger": ("user_id number points balance video_id created_at", _points(watched)),
    }
    if url.startswith("sqlite"):
        _fill_sqlite(str(make_url(url).database), tables)
    else:
        _fill_postgres(url.replace("+psycopg", ""), tables)


def _points(watched: dict[tuple[int, str], tuple[datetime, float]]) -> Iterator[tuple[Cell, ...]]:
    lines: dict[int, int] = {}
    for (viewer, film), (at, _) in watched.items():
        number = lines[viewer] = lines.get(viewer, 0) + 1
        yield user_id(viewer), number, 10, 10 * number, film, at


def _fill_sqlite(path: str, tables: dict[str, tuple[str, Iterable[tuple[Cell, ...]]]]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    for table, (names, rows) in tables.items():
        columns = names.split()
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        connection.executemany(statement, (tuple(map(_sqlite_cell, row)) for row in rows))
    connection.execute("COMMIT")
    connection.execute("ANALYZE")
    connection.close()


def _sqlite_cell(value: Cell) -> Cell:
    """Return a value as SQLAlchemy stores it."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"
    return value.isoformat() if isinstance(value, date) else value


def _fill_postgres(url: str, tables: dict[str, tuple[str, Iterable[tuple[Cell, ...]]]]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for table, (names, rows) in tables.items():
            columns = sql.SQL(", ").join(map(sql.Identifier, names.split()))
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        connection.execute("VACUUM ANALYZE")
