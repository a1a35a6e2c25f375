"""Viewers with a record each, and the client that reports for them at a fixed rate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.ids import new_id
from loadtest.bench.stats import Latency, latency
from services.auth.credentials.keys import KeyRing
from services.auth.models import User
from services.progress.__main__ import MIGRATIONS
from services.progress.models import WatchProgress

CONNECTIONS = 100
FILM_SEC = 5400.0
_VIDEOS = 50


@dataclass(frozen=True, slots=True)
class Viewer:
    """A viewer and the video that they watch."""

    user_id: str
    video_id: str
    token: str


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of reports achieved."""

    answered: int
    seconds: float
    waiting: Latency
    """From the moment a report was due to its answer."""


def make_viewers(count: int, key_file: Path) -> list[Viewer]:
    """Return viewers with access tokens that the key in a file signs; the file is made if it is missing."""
    keys, now = KeyRing(key_file), datetime.now(UTC)
    videos = [new_id() for _ in range(_VIDEOS)]
    viewers = []
    for number in range(count):
        user = User(
            id=new_id(),
            login_id=f"viewer{number}",
            login_key=f"viewer{number}",
            display_name="Viewer",
            password_hash="",
            role="member",
            status="active",
            claims_version=1,
            created_at=now,
            updated_at=now,
            version=1,
        )
        token = keys.current.mint(user, new_id(), 3600)
        viewers.append(Viewer(user.id, videos[number % _VIDEOS], token))
    return viewers


async def fill(url: str, viewers: Sequence[Viewer]) -> None:
    """Make the tables of progress and a record for each viewer."""
    await asyncio.to_thread(upgrade, MIGRATIONS, url)
    database, now = Database(url), datetime.now(UTC)
    rows = [
        {
            "user_id": viewer.user_id,
            "video_id": viewer.video_id,
            "position_sec": 0.0,
            "duration_sec": FILM_SEC,
            "completed": False,
            "updated_at": now,
            "version": 1,
        }
        for viewer in viewers
    ]
    async with database.write() as transaction:
        await (await transaction.session.connection()).execute(insert(WatchProgress), rows)
    await database.close()


async def report(port: int, viewers: Sequence[Viewer], per_second: float, seconds: float) -> Load:
    """Send reports of all viewers in turn at a fixed rate, also while answers are late; only answered ones count."""
    clock = asyncio.get_running_loop().time
    idle = asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    waits: list[float] = []
    last = start = clock()

    async def one(number: int, due: float) -> None:
        nonlocal last
        reader, writer = await idle.get()
        if clock() < start + seconds:
            writer.write(_request(viewers[number % len(viewers)], number))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"a report was refused: {head!r}")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            last = clock()
            waits.append(last - due)
        idle.put_nowait((reader, writer))

    async with asyncio.TaskGroup() as reports:
        for number in range(int(per_second * seconds)):
            due = start + number / per_second
            if (pause := due - clock()) > 0:
                await asyncio.sleep(pause)
            reports.create_task(one(number, due))
    while not idle.empty():
        idle.get_nowait()[1].close()
    return Load(len(waits), last - start, latency(waits))


def _request(viewer: Viewer, number: int) -> bytes:
    body = json.dumps({"position": number % FILM_SEC, "duration": FILM_SEC}).encode()
    head = (
        f"PUT /api/progress/{viewer.video_id}?user_id={viewer.user_id} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {viewer.token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
