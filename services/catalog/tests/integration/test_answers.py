"""Kept answers are never of before a change, by any writer, and never of the rights of another caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select, update

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.encoded_json import Encoded
from kit.ids import new_id
from kit.testing.depth import cases
from kit.testing.fakes import as_user
from kit.testing.queries import count_queries
from services.catalog.domain import may_see
from services.catalog.models import Asset, Series, Video, VideoTag
from services.catalog.service.answers import Answers
from services.catalog.tests.support import ADMIN, Catalog
from services.catalog.tests.watching import FakeProgress, serve_progress

A, B = new_id(), new_id()
PEOPLE = {
    "platform": (new_id(), ""),
    "a": (new_id(), A),
    "a too": (new_id(), A),
    "b": (new_id(), B),
}
STEPS = cases(quick=25, deep=500)
PATHS = ("/api/videos", "/api/videos?tag=one&sort=title", "/api/search?q=film", "/api/home")


@pytest.fixture
async def progress(tmp_path: Path) -> AsyncIterator[FakeProgress]:
    """A progress that answers; home pages would wait for an absent one."""
    async with serve_progress(tmp_path) as servicer:
        yield servicer


async def shown(catalog: Catalog, path: str, headers: dict[str, str]) -> set[str]:
    body = await catalog.get(path, headers)
    if "rows" in body:
        return {item["id"] for row in body["rows"] for item in row["items"]}
    items = [each.get("video", each) for each in body["items"]]
    assert body["total"] == len(items)
    return {each["id"] for each in items}


@pytest.mark.usefixtures("progress")
async def test_random_changes_show_at_once_to_those_who_may_see_them_only(catalog: Catalog) -> None:
    random = Random(7)
    uploaders = [user_id for user_id, _ in PEOPLE.values()]
    ids = [await catalog.ready(title=f"Film {number}", tags="one") for number in range(6)]
    for _ in range(STEPS):
        video_id = random.choice(ids)
        # Past every use case and event, as another process would.
        async with catalog.database.write() as transaction:
            values = {
                "corporation_id": random.choice([None, A, B]),
                "status": random.choice(["ready", "ready", "processing"]),
                "uploader_id": random.choice(uploaders),
                "deleted_at": random.choice([None, None, Video.created_at]),
                "version": Video.version + 1,
            }
            await transaction.session.execute(update(Video).where(Video.id == video_id).values(values))
        async with catalog.database.read() as session:
            films = (await session.scalars(select(Video))).all()
        for user_id, corporation_id in PEOPLE.values():
            caller = Caller(user_id, "member", "active", corporation_id)
            headers = as_user(user_id, "member", corporation_id)
            visible = {film.id for film in films if may_see(caller, film)}
            playable = {film.id for film in films if film.id in visible and film.status == "ready"}
            for path in PATHS:
                for _ in range(2):
                    assert await shown(catalog, path, headers) == (playable if path == "/api/home" else visible), path


@pytest.mark.parametrize("path", [*PATHS[:3], "/api/search/suggest?q=film", "/api/highlights"])
async def test_unchanged_catalogue_is_read_once(catalog: Catalog, path: str) -> None:
    await catalog.ready(title="Film", tags="one")
    first = await catalog.get(path, as_user(PEOPLE["a"][0], "member", A))
    await catalog.get(path, as_user(PEOPLE["a too"][0], "member", A))
    with count_queries() as sent:
        assert await catalog.get(path, as_user(PEOPLE["a too"][0], "member", A)) == first
    assert sent.count == 1, "the version of the catalogue"


async def test_changes_of_each_table_give_another_version(catalog: Catalog) -> None:
    video_id = await catalog.ready(title="Film", tags="one")
    answers = Answers(catalog.database, 1 << 20, lambda: None)
    made = 0

    async def make() -> Encoded:
        nonlocal made
        made += 1
        return Encoded(b"{}")

    async def count() -> int:
        await answers.for_services("key", make)
        return made

    before = await count()
    assert await count() == before
    series = Series(id=new_id(), title="", description="", tags=[], owner_id="x", version=1)
    async with catalog.database.read() as session:
        series.created_at = series.updated_at = (await session.get_one(Video, video_id)).created_at
    for change in (
        update(Video).values(description="x"),
        update(Asset).values(height=1),
        update(VideoTag).values(tag="two"),
        series,
    ):
        async with catalog.database.write() as transaction:
            if isinstance(change, Series):
                transaction.session.add(change)
            else:
                await transaction.session.execute(change)
        before += 1
        assert await count() == before


async def test_requests_that_arrive_together_share_one_read_of_the_version(catalog: Catalog) -> None:
    answers = Answers(catalog.database, 1 << 20, lambda: None)

    async def make() -> Encoded:
        return Encoded(b"{}")

    with count_queries() as sent:
        await asyncio.gather(*(answers.for_services("key", make) for _ in range(8)))
    assert sent.count == 1


async def test_writers_of_many_films_do_not_wait_in_a_circle(catalog: Catalog) -> None:
    ids = [await catalog.ready(title="Film") for _ in range(2)]
    other = Database(catalog.settings.database_url)
    both_wrote = asyncio.Barrier(2) if not other.is_sqlite else None

    async def write(database: Database, order: list[str]) -> None:
        async with database.write() as transaction:
            await transaction.session.execute(update(Video).where(Video.id == order[0]).values(description="x"))
            if both_wrote is not None:
                await both_wrote.wait()

    await asyncio.gather(write(catalog.database, ids), write(other, ids[::-1]))
    await other.close()
    assert (await catalog.get("/api/videos", ADMIN))["items"][0]["description"] == "x"
