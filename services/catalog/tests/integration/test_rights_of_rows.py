"""Rows, recommendations, highlights, series and watchlists never show or count what a viewer may not see.

Films move at random between corporations, the trash and series, and people between corporations. After each step all
that each person is shown is compared with the rule itself (`domain.may_see`), applied to every film.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sqlalchemy import select

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.errors import ApiError
from kit.ids import new_id
from kit.testing.databases import MigratedDatabases
from kit.testing.depth import cases
from services.catalog.clients.progress import ViewerHome, WatchRecord
from services.catalog.domain import Plan, may_see
from services.catalog.highlights.domain import HighlightValues
from services.catalog.highlights.service import Highlights
from services.catalog.home.domain import RowKind
from services.catalog.home.service import HomePage
from services.catalog.models import Video
from services.catalog.schemas import encode_card
from services.catalog.series.domain import PlacementEdit
from services.catalog.series.service import SeriesLabels, SeriesLibrary
from services.catalog.service.cards import Cards
from services.catalog.service.editing import Edit, VideoEditor
from services.catalog.watchlist.service import Watchlists

A, B = new_id(), new_id()
ADMIN = Caller(new_id(), "admin", "active")
FILMS = 14
PLAYS = cases(quick=2, deep=40)
STEPS = 10
NOW = datetime(2026, 11, 30, tzinfo=UTC)


class EveryCorporation:
    """An auth in which every corporation exists and has paid."""

    async def get(self, corporation_id: str) -> Plan | None:
        return Plan(is_paid=True, expires_at=None)


class Everything:
    """A progress that names every film to everyone."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def home(self, user_id: str) -> ViewerHome:
        watched = [WatchRecord(each, 5, 10, number % 2 == 0) for number, each in enumerate(self.ids)]
        return ViewerHome(watched, self.ids, self.ids)

    async def co_watched(self, video_id: str) -> Sequence[str]:
        return self.ids


@dataclass
class Play:
    """One run on a database of its own."""

    database: Database
    random: Random
    people: list[Caller]
    series: list[str]

    async def step(self) -> None:
        """Take one random step."""
        editor = VideoEditor(self.database, EveryCorporation())
        video = self.random.choice(await self.films())
        match self.random.choice(["move", "move", "trash", "restore", "place", "member", "status"]):
            case "move":
                await quietly(editor.edit(video.id, Edit(moves=True, corporation_id=self.home()), ADMIN))
            case "trash":
                await quietly(editor.delete(video.id, ADMIN))
            case "restore":
                await quietly(editor.restore(video.id, ADMIN))
            case "place":
                series_id = self.random.choice([None, *self.series])
                edit = PlacementEdit(frozenset({"series_id"}), series_id)
                await quietly(editor.edit(video.id, Edit(placement=edit), ADMIN))
            case "member":
                place = self.random.randrange(len(self.people) - 1) + 1
                self.people[place] = replace(self.people[place], corporation_id=self.home() or "")
            case "status":
                async with self.database.write() as transaction:
                    row = await transaction.session.get_one(Video, video.id)
                    row.status = self.random.choice(["ready", "ready", "processing"])

    def home(self) -> str | None:
        return self.random.choice([None, A, B])

    async def films(self) -> Sequence[Video]:
        async with self.database.read() as session:
            return (await session.scalars(select(Video))).all()


async def quietly(step: object) -> None:
    with suppress(ApiError):
        await step  # type: ignore[misc]


async def begin(database: Database, random: Random, viewing: Everything) -> Play:
    """Make films with highlights, tags, series and watchlists."""
    people = [ADMIN, *(Caller(new_id(), "member", "active", corporation) for corporation in ("", A, B))]
    library = SeriesLibrary(database, "admin")
    series = [(await library.add(SeriesLabels(title=f"s{n}"), ADMIN)).series.id for n in range(3)]
    viewing.ids = [new_id() for _ in range(FILMS)]
    async with database.write() as transaction:
        for number, video_id in enumerate(viewing.ids):
            video = Video(
                id=video_id,
                title=video_id,
                description="",
                tags=random.sample(["poker", "final", "tour"], 2),
                status=random.choice(["ready", "ready", "processing"]),
                uploader_id=random.choice(people).user_id,
                corporation_id=random.choice([None, A, B]),
                mime_type="video/mp4",
                created_at=NOW,
                updated_at=NOW,
                version=1,
                series_id=random.choice([None, *series]),
                season=1,
                episode=number,
                assets=[],
                artworks=[],
            )
            transaction.session.add(video)
    highlights, watchlists = Highlights(database, Cards(encode_card)), Watchlists(database)
    for video_id in viewing.ids:
        await highlights.add(video_id, HighlightValues(1, 2, "bluff", "", ["Ann"], 5), ADMIN, "")
        for person in people:
            await quietly(watchlists.add(video_id, person))
    return Play(database, random, people, series)


async def look(play: Play, page: HomePage, viewing: Everything, listed: dict[str, set[str]]) -> int:
    """Compare what everyone is shown with the rule; return how many films were hidden from someone."""
    films = await play.films()
    hidden = 0
    for who in play.people:
        seen = {film.id for film in films if may_see(who, film)}
        playable = {film.id for film in films if film.id in seen and film.status == "ready"}
        hidden += len(films) - len(seen)
        # What is kept from the steps before must be safe, and what is read anew complete.
        for is_fresh in (False, True):
            if is_fresh:
                page.forget()
            shown = await page.home(who, await page.viewer(who))
            rows = {(row.candidates.kind, row.candidates.key): row for row in shown}
            for row in rows.values():
                assert {item.video_id for item in row.items} <= playable, row.candidates
        new = rows.get((RowKind.NEW, ""))
        assert {item.video_id for item in (new.items if new else [])} == playable
        for video_id in play.random.sample(viewing.ids, 3):
            try:
                found = await page.recommendations(video_id, who)
            except ApiError:
                assert video_id not in seen
            else:
                assert video_id in seen
                assert {json.loads(card)["id"] for card, _ in found} == playable - {video_id}
        await look_at_lists(play, who, films, seen, playable, listed[who.user_id])
    return hidden


async def look_at_lists(
    play: Play, who: Caller, films: Sequence[Video], seen: set[str], playable: set[str], listed: set[str]
) -> None:
    """Compare highlights, series and the watchlist of one person with the rule."""
    found, total = await Highlights(play.database, Cards(encode_card)).page(
        who, category="bluff", player="ann", sort="-pot_size", offset=0, limit=100
    )
    assert ({each.video_id for each, _ in found}, total) == (playable, len(playable))
    library = SeriesLibrary(play.database, "admin")
    series, total = await library.page(who, sort="title", offset=0, limit=100)
    counts = {
        series_id: len([film for film in films if film.series_id == series_id and film.id in seen])
        for series_id in play.series
    }
    expected = counts if who.is_admin else {series_id: count for series_id, count in counts.items() if count}
    assert ({each.series.id: each.episode_count for each in series}, total) == (expected, len(expected))
    for each in series:
        detail = await library.get(each.series.id, who)
        assert {video.id for _, videos in detail.seasons for video in videos} <= seen
        assert each.first is None or each.first.id in playable
    rows, total = await Watchlists(play.database).page(who, offset=0, limit=100)
    assert ({video.id for video, _ in rows}, total) == (listed & seen, len(listed & seen))


def test_nothing_is_shown_or_counted_without_a_right(tmp_path: Path, migrated: MigratedDatabases) -> None:
    hidden = 0
    # Migrations run a loop of their own: not inside of another one.
    migrated.sqlite(tmp_path / "first.db")

    async def play(random: Random) -> int:
        path = tmp_path / f"{random.random()}.db"
        migrated.sqlite(path)
        database, viewing = Database(f"sqlite+aiosqlite:///{path}"), Everything()
        run = await begin(database, random, viewing)
        page = HomePage(database, viewing, tuple(RowKind), Cards(encode_card))
        films = await run.films()
        listed = {who.user_id: {film.id for film in films if may_see(who, film)} for who in run.people}
        found = await look(run, page, viewing, listed)
        for _ in range(STEPS):
            await run.step()
            found += await look(run, page, viewing, listed)
        await database.close()
        return found

    for seed in range(PLAYS):
        try:
            hidden += asyncio.run(play(Random(seed)))
        except BaseException as error:
            error.add_note(f"in the play of Random({seed})")
            raise
    # Without plenty that is hidden the test would mean nothing.
    assert hidden > PLAYS * STEPS, hidden
