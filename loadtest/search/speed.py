"""How long lists, rows and searches take over HTTP, on one database, in a library with viewers."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

from kit.db.database import Database
from kit.ids import new_id
from kit.testing.servers import free_port
from loadtest.bench.machine import REPOSITORY
from loadtest.bench.processes import Process, wait_for
from loadtest.bench.procfs import cpu_seconds
from loadtest.search import library, viewing
from loadtest.search.load import get, run
from loadtest.search.results import RouteTiming, Timing
from loadtest.search.titles import Queries, key_strokes
from loadtest.search.viewing import Viewing
from services.auth.credentials.keys import SigningKeys
from services.auth.models import User
from services.catalog.highlights.domain import player_key

CONNECTIONS = 8
_CALLERS = 200
_PER_ROUTE = 400
_WARM_UP = 150
_ALONE_SEC = 1.5
_SCALED_SEC = 2.0
_TOKEN_SEC = 6 * 3600
_LIST = 100
"""Films of the longest page."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    films: int
    viewing: Viewing
    seconds: float
    """Of each window."""

    def scaled(self, share: float) -> Plan:
        """Return a plan of this share of the library; a smaller one is measured in shorter windows."""
        viewing = Viewing(int(share * self.viewing.users), int(share * self.viewing.views))
        return Plan(int(share * self.films), viewing, self.seconds if share == 1 else min(self.seconds, _SCALED_SEC))


class Measured(TypedDict):
    """What was measured on one database: fields of `results.Speed`."""

    add_ms: list[float]
    routes: dict[str, RouteTiming]
    bare: dict[str, RouteTiming]


def measure_speed(plan: Plan, titles: list[str], folder: Path, urls: tuple[str, str], database: int | None) -> Measured:
    """Fill the databases, run the server on them, and ask.

    Args:
        plan: how much.
        titles: of the films.
        folder: an empty one, for the server.
        urls: of the empty databases of catalog and progress.
        database: the process of PostgreSQL; None with SQLite.
    """
    library.create(urls[0])
    films, add_ms = asyncio.run(_fill(urls[0], titles))
    viewing.fill(urls[1], films.ready, plan.viewing)
    requests = _requests(titles, films, plan, folder)
    with _served(folder, {"catalog": urls[0], "progress": urls[1]}) as (port, pids):
        routes = {name: _time(port, each, plan, pids, database) for name, each in requests.items()}
    with _bare(urls[0]) as (port, pids):
        details = [get(f"/videos/{each}") for each in films.ready[: _PER_ROUTE // 2]]
        longest = [get(f"/videos?page_size={_LIST}")]
        bare = {
            "detail": _time(port, details, plan, pids, database),
            f"list of {_LIST}": _time(port, longest, plan, pids, database),
        }
    return Measured(add_ms=add_ms, routes=routes, bare=bare)


async def _fill(url: str, titles: list[str]) -> tuple[library.Library, list[float]]:
    database = Database(url)
    films = await library.fill(database, titles)
    add_ms = await library.add_singly(database, titles[:50])
    await database.close()
    return films, add_ms


def _time(port: int, requests: Sequence[bytes], plan: Plan, server: list[int], database: int | None) -> RouteTiming:
    def run_at(connections: int, seconds: float) -> Timing:
        return run(
            port,
            requests,
            connections=connections,
            warm_up=_WARM_UP,
            seconds=seconds,
            server=server[0],
            database=database,
        )

    return RouteTiming(alone=run_at(1, min(_ALONE_SEC, plan.seconds)), busy=run_at(CONNECTIONS, plan.seconds))


def _requests(titles: list[str], films: library.Library, plan: Plan, folder: Path) -> dict[str, list[bytes]]:
    """Return the requests of each route, of many callers."""
    source = random.Random(5)  # noqa: S311 - no secret
    tokens = _tokens(folder, plan.viewing.users)
    queries = Queries(titles)
    searched = [each.text for each in queries.make(_PER_ROUTE)]
    typed = [text for title in source.sample(titles, _PER_ROUTE // 10) for text in key_strokes(title)]
    sorts = ("-created_at", "created_at", "title", "-title", "duration_sec", "-duration_sec")
    filters = (
        *(f"tag={quote(tag)}" for tag in library.TAGS),
        "codec=AV1",
        "min_height=1080",
        "min_duration_sec=600&max_duration_sec=1200",
        f"corporation_id={library.CORPORATIONS[0]}",
        "status=ready",
        "uploader_id=uploader-3",
    )
    ready = films.ready
    highlights = [f"category={quote(each)}" for each in library.CATEGORIES]
    highlights += [f"player={quote(player_key(each))}" for each in library.PLAYERS]
    highlights += ["", "sort=-created_at"] * 20
    paths = {
        "list": [f"/api/videos?sort={source.choice(sorts)}" for _ in range(_PER_ROUTE)],
        "list, page 100": [f"/api/videos?sort={source.choice(sorts)}&page=100" for _ in range(_PER_ROUTE)],
        "filter": [f"/api/videos?{source.choice(filters)}&sort={source.choice(sorts)}" for _ in range(_PER_ROUTE)],
        f"list of {_LIST}": [f"/api/videos?page_size={_LIST}"],
        "detail": [f"/api/videos/{each}" for each in ready[: _PER_ROUTE // 2]],
        "home": ["/api/home"] * _PER_ROUTE,
        "search": [f"/api/search?q={quote(text)}" for text in searched],
        "suggest": [f"/api/search/suggest?q={quote(text)}" for text in typed],
        "history": ["/api/users/me/history"] * _PER_ROUTE,
        "recommendations": [f"/api/videos/{source.choice(ready)}/recommendations" for _ in range(_PER_ROUTE)],
        "highlights": [f"/api/highlights?{source.choice(highlights)}" for _ in range(_PER_ROUTE)],
    }
    return {
        name: [get(path, source.choice(tokens)) for path in each] if len(each) > 1 else [get(each[0], tokens[0])]
        for name, each in paths.items()
    }


def _tokens(folder: Path, users: int) -> list[str]:
    """Return credentials of members of all corporations, and of none; the server trusts the key that signs them."""
    keys = SigningKeys.load(folder / "signing.json")
    now = datetime.now(UTC)
    owners = (None, *library.CORPORATIONS)
    return [
        "Bearer "
        + keys.mint(
            User(
                id=viewing.user_id(number),
                login_id=f"viewer-{number}",
                login_key=f"viewer-{number}",
                display_name="",
                password_hash="",
                role="member",
                status="active",
                corporation_id=owners[number % len(owners)],
                claims_version=1,
                created_at=now,
                updated_at=now,
                version=1,
            ),
            new_id(),
            _TOKEN_SEC,
        )
        for number in range(min(users, _CALLERS))
    ]


@contextmanager
def _served(folder: Path, databases: dict[str, str]) -> Iterator[tuple[int, list[int]]]:
    """Run Marquee; yield its port and its processes."""
    port = free_port()
    settings = {
        "MARQUEE_DATA_DIR": str(folder),
        "MARQUEE_HTTP_PORT": str(port),
        "MARQUEE_ADMIN_PASSWORD": "measured-by-the-benchmark",
        "MARQUEE_RATE_LIMIT_PER_MIN": "999999",
        "MARQUEE_USER_RATE_LIMIT_PER_MIN": "999999",
    }
    command = [sys.executable, "-m", "loadtest.search.server", *(f"{name}={url}" for name, url in databases.items())]
    with _running("marquee", command, port, "/api/health", settings) as pids:
        yield port, pids


@contextmanager
def _bare(url: str) -> Iterator[tuple[int, list[int]]]:
    port = free_port()
    command = [sys.executable, "-m", "loadtest.search.bare", str(port), url]
    with _running("bare", command, port, "/openapi.json", {}) as pids:
        yield port, pids


@contextmanager
def _running(name: str, command: list[str], port: int, path: str, settings: dict[str, str]) -> Iterator[list[int]]:
    cores = frozenset(os.sched_getaffinity(0))
    process = Process(name, command, cores, {"PYTHONPATH": str(REPOSITORY), **settings}).start()
    try:
        wait_for(process, path, port)
        # The first maintenance of a start is no part of what requests cost.
        _await_idle(process)
        yield process.tree()
    finally:
        process.stop()


def _await_idle(process: Process, limit_sec: float = 60) -> None:
    """Wait until a server takes hardly any processor time."""
    until = time.monotonic() + limit_sec
    while time.monotonic() < until:
        before = cpu_seconds(process.tree())
        time.sleep(1)
        if cpu_seconds(process.tree()) - before < 0.1:  # noqa: PLR2004 - a tenth of a core
            return
