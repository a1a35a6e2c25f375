"""Lines of the view log whose end never came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from kit.db.database import Database
from kit.ids import new_id
from kit.testing.databases import MigratedDatabases
from kit.testing.fakes import FakeBus
from marquee.events.v1 import stream_pb2
from services.progress.consumers import subscribe
from services.progress.domain import LOST_AFTER, ViewFilter
from services.progress.models import WatchProgress
from services.progress.service import views
from services.progress.tests.fakes import a_view_log
from services.progress.tests.integration.test_points import NOW, began, ended


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated: MigratedDatabases) -> Iterator[str]:
    if request.param == "sqlite":
        yield migrated.sqlite(tmp_path / "progress.db")
        return
    with migrated.postgres(request.getfixturevalue("postgres_server")) as url:
        yield url


async def test_sessions_of_which_nothing_was_heard_are_closed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "TRIM_BATCH", 1)
    bus, log = FakeBus(), a_view_log(database)
    subscribe(bus, database, log)
    users = {name: new_id() for name in ("silent", "reported", "watching", "new", "ended")}
    starts = {name: began(user_id, new_id()) for name, user_id in users.items()}
    starts["new"] = began(users["new"], new_id(), datetime.now(UTC))
    for start in starts.values():
        await bus.deliver(start)
    await bus.deliver(ended(starts["ended"], 60.0, 1))
    reports = {"reported": NOW + timedelta(minutes=7), "watching": datetime.now(UTC), "silent": NOW - LOST_AFTER}
    async with database.write() as transaction:
        for name, moment in reports.items():
            video_id = starts[name].read(stream_pb2.StreamStarted).video_id
            report = {"user_id": users[name], "video_id": video_id, "position_sec": 1.0, "duration_sec": 9.0}
            await transaction.session.execute(
                insert(WatchProgress).values(**report, completed=False, updated_at=moment)
            )
    assert await log.close_lost() == 2
    assert await log.close_lost() == 0

    async def line(name: str) -> tuple[str | None, float | None]:
        lines, _, _ = await log.page(ViewFilter(user_id=users[name]), offset=0, limit=2)
        (view,) = (each.view for each in lines)
        return view.end_reason, view.seconds

    assert await line("silent") == ("lost", 0.0)
    assert await line("reported") == ("lost", 420.0)
    assert await line("watching") == await line("new") == (None, None)
    assert await line("ended") == ("ended", 60.0)
    # Its end was only late.
    await bus.deliver(ended(starts["silent"], 30.0, 5))
    assert await line("silent") == ("ended", 30.0)
