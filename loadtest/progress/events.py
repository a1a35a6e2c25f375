"""Measure how many events of play sessions progress handles: `python -m loadtest.progress.events`.

The events lie in a bus of one process (a SQLite file) before the measurement begins; processor time is that of the bus
and of progress together.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sqlalchemy import func, select

from kit.bus.local import LocalBus
from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.events.envelope import Event
from kit.events.tables import inbox
from kit.ids import new_id
from kit.telemetry import configure_logging
from kit.testing.servers import PostgresServer, server_directory
from marquee.events.v1 import stream_pb2
from services.progress.__main__ import MIGRATIONS
from services.progress.consumers import subscribe
from services.progress.domain import Video
from services.progress.service import Points, ViewLog, Views

SESSIONS = 1500
_VIEWERS = 500
_VIDEOS = 50
_LOOK_SEC = 0.05


def _sessions(count: int) -> list[Event]:
    """Return the start and the end of play sessions."""
    random, events = Random(1), list[Event]()  # noqa: S311 - no secrets
    viewers, videos = [new_id() for _ in range(_VIEWERS)], [new_id() for _ in range(_VIDEOS)]
    for _ in range(count):
        session_id, user_id, video_id = new_id(), random.choice(viewers), random.choice(videos)
        started = stream_pb2.StreamStarted(session_id=session_id, user_id=user_id, video_id=video_id)
        stopped = stream_pb2.StreamStopped(session_id=session_id, user_id=user_id, video_id=video_id)
        for message in (started, stopped):
            message.timestamp.FromDatetime(datetime.now(UTC))
            events.append(Event.of(message, source="stream", subject=session_id))
    return events


async def _handle(url: str, bus_file: Path, events: list[Event]) -> tuple[float, float]:
    """Return events a second, and the processor time of one in seconds."""
    await asyncio.to_thread(upgrade, MIGRATIONS, url)
    database, bus = Database(url), LocalBus(bus_file)
    points = Points(database, _Nothing(), per_view=10)
    subscribe(bus, database, ViewLog(database, points, Views(database), _Nothing(), _Nothing()))
    await bus.declare()
    await bus.publish(events)
    wall, used = time.perf_counter(), time.process_time()
    await bus.start()
    while await _handled(database) < len(events):  # noqa: ASYNC110 - the bus has no such event
        await asyncio.sleep(_LOOK_SEC)
    seconds, spent = time.perf_counter() - wall, time.process_time() - used
    await bus.close()
    await database.close()
    return len(events) / seconds, spent / len(events)


class _Nothing:
    """Neighbours that know no account and no video."""

    async def logins(self, ids: Sequence[str]) -> dict[str, str]:
        """Return none."""
        del ids
        return {}

    async def videos(self, ids: Sequence[str]) -> dict[str, Video]:
        """Return none."""
        del ids
        return {}


async def _handled(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(inbox)) or 0


async def _measure(urls: list[str], folder: Path) -> None:
    for number, url in enumerate(urls):
        rate, spent = await _handle(url, folder / f"bus{number}.sqlite3", _sessions(SESSIONS))
        name = url.partition("+")[0]
        sys.stdout.write(f"{name}: {rate:.0f} events a second, {1000 * spent:.2f} ms of processor each\n")


def main() -> None:
    """Measure both databases."""
    configure_logging("INFO", "json")
    with server_directory() as servers, PostgresServer(servers) as server, tempfile.TemporaryDirectory() as files:
        urls = [f"sqlite+aiosqlite:///{files}/progress.db", server.create_database("progress")]
        asyncio.run(_measure(urls, Path(files)))


if __name__ == "__main__":
    main()
