"""No user without a right sees or restores a video, whatever happens in whatever order.

Random interleavings of plan changes, sweeps, time, deletions, restorations and moves are played against the real
repository on SQLite and against a model that is nothing but a few dictionaries. A restoration can be overtaken: between
auth's answer and the transaction another step may happen.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from random import Random

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.errors import ApiError, ErrorCode
from kit.testing.databases import MigratedDatabases
from kit.testing.depth import cases
from services.catalog.domain import Plan
from services.catalog.listing.criteria import Criteria
from services.catalog.listing.repository import VideoListRepository
from services.catalog.models import Asset, Video
from services.catalog.repository.videos import VideoRepository, VisibleVideoRepository
from services.catalog.schemas import encode_card
from services.catalog.search.query import parse
from services.catalog.search.repository import SearchRepository
from services.catalog.service import Search
from services.catalog.service.cards import Cards
from services.catalog.service.editing import Edit, VideoEditor

A, B = (f"00000000-0000-7000-8000-00000000000{letter}" for letter in "ab")
ADMIN = Caller("root", "admin", "active")
ANN, ABE = Caller("ann", "member", "active", A), Caller("abe", "member", "active", A)
BEA, ZOE = Caller("bea", "member", "active", B), Caller("zoe", "member", "active")
PEOPLE = (ADMIN, ANN, ABE, BEA, ZOE)
FILMS = tuple(f"00000000-0000-7000-8000-0000000000f{number}" for number in range(4))
HOMES = (None, A, B)
BEGINNING = datetime(2026, 3, 1, tzinfo=UTC)
PLAYS, STEPS = cases(quick=12, deep=300), 15

Step = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Film:
    """A video in the model."""

    uploader: str
    corporation: str | None
    ready: bool
    deleted: bool = False


@dataclass
class World:
    """What there is, as the model has it; also the auth that catalog asks."""

    films: dict[str, Film]
    now: datetime = BEGINNING
    plans: dict[str, Plan] = field(default_factory=dict)
    auth_is_away: bool = False
    meanwhile: Callable[[], None] | None = None
    asked: dict[str, Plan] = field(default_factory=dict)

    async def get(self, corporation_id: str) -> Plan | None:
        """What auth answers: the row as it is, also where the sweep is yet to come. Then something else happens."""
        if self.auth_is_away:
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE)
        answer = self.plans.get(corporation_id)
        self.asked[corporation_id] = answer or Plan(is_paid=False, expires_at=None)
        if self.meanwhile:
            await asyncio.to_thread(self.meanwhile)
        return answer

    def sweep(self) -> None:
        """Overdue plans become free."""
        for corporation_id, plan in self.plans.items():
            if plan.expires_at is not None and plan.expires_at <= self.now:
                self.plans[corporation_id] = Plan(is_paid=False, expires_at=None)

    def seen_by(self, who: Caller) -> set[str]:
        """Return what a caller has a right to see."""
        return {
            id_
            for id_, film in self.films.items()
            if not film.deleted and (who.is_admin or (self._at_home(who, film) and self._shown(who, film)))
        }

    def trashed_for(self, who: Caller) -> set[str]:
        """Return what a caller has a right to see in the trash."""
        return {
            id_
            for id_, film in self.films.items()
            if film.deleted and (who.is_admin or (self._at_home(who, film) and film.uploader == who.user_id))
        }

    def may_restore(self, who: Caller, video_id: str) -> bool:
        """Whether a caller has a right to restore a film now, by the plan that auth last answered."""
        film = self.films[video_id]
        if video_id not in self.trashed_for(who):
            return False
        if who.is_admin:
            return True
        plan = self.asked.get(film.corporation or "")
        return plan is not None and plan.is_paid and (plan.expires_at is None or self.now < plan.expires_at)

    @staticmethod
    def _at_home(who: Caller, film: Film) -> bool:
        return film.corporation is None or film.corporation == who.corporation_id

    @staticmethod
    def _shown(who: Caller, film: Film) -> bool:
        return film.ready or film.uploader == who.user_id


def a_catalogue(random: Random) -> dict[str, Film]:
    """Films of anybody, most of them of their uploader's corporation."""

    def film() -> Film:
        uploader = random.choice((ANN, ANN, BEA, ZOE))
        home = uploader.corporation_id or None if random.random() < 0.7 else random.choice(HOMES)
        return Film(uploader.user_id, home, ready=random.random() < 0.7, deleted=random.random() < 0.5)

    return {id_: film() for id_ in FILMS}


def a_step(random: Random) -> Step:
    """Anything that may happen; restorations most often, many of them overtaken by something else."""
    match random.choices(["small", "delete", "move", "restore"], [3, 3, 1, 5])[0]:
        case "delete":
            return "delete", random.choice(PEOPLE), random.choice(FILMS)
        case "move":
            return "move", random.choice(FILMS), random.choice(HOMES)
        case "restore":
            overtaken = random.choice(
                [None, None, a_small_step(random), ("move", random.choice(FILMS), random.choice(HOMES))]
            )
            return "restore", random.choice((*PEOPLE, ANN, ANN, BEA)), random.choice(FILMS), overtaken
    return a_small_step(random)


def a_small_step(random: Random) -> Step:
    """Something that happens in auth, or to it."""
    match random.choices(["plan", "tick", "sweep", "away"], [4, 2, 1, 1])[0]:
        case "plan":
            ends = None if random.random() < 0.3 else BEGINNING + timedelta(hours=random.randint(1, 8))
            paid = random.random() < 0.9
            return "plan", random.choice([A, B]), Plan(paid, ends if paid else None)
        case "tick":
            return "tick", random.randint(1, 4)
        case "away":
            return "away", random.random() < 0.3
    return ("sweep",)


class Play:
    """One run: steps are taken in the model and in the real thing."""

    def __init__(self, database: Database, world: World) -> None:
        self.database = database
        self.world = world
        self.changes = VideoEditor(database, world, lambda: world.now)
        self.texts = cycle(("film", "fil", "flim", "f", "ㄹㅇ", "일ㅇ", "일요"))
        self.searchers = cycle(PEOPLE)
        self.sorts = cycle(("title", "-created_at", "-duration_sec"))

    async def stock(self) -> None:
        """Makes the films of the model real."""
        async with self.database.write() as transaction:
            for table in (Asset, Video):
                await transaction.session.execute(delete(table))
            for id_, film in self.world.films.items():
                VideoRepository(transaction.session).add(_row(id_, film))

    async def take(self, step: Step) -> None:
        """One step, in both."""
        match step:
            case "delete", Caller() as who, str(id_):
                await self._delete(who, id_)
            case "restore", Caller() as who, str(id_), overtaken:
                await self._restore(who, id_, overtaken)
            case "move", str(id_), home:
                await self._move(id_, home)
            case _:
                self._small(step)

    def _small(self, step: object) -> None:
        match step:
            case "plan", str(corporation_id), Plan() as plan:
                self.world.plans[corporation_id] = plan
            case "tick", int(hours):
                self.world.now += timedelta(hours=hours)
            case "sweep":
                self.world.sweep()
            case "away", bool(away):
                self.world.auth_is_away = away

    async def _delete(self, who: Caller, id_: str) -> None:
        film = self.world.films[id_]
        allowed = id_ in self.world.seen_by(who) and (who.is_admin or film.uploader == who.user_id)
        assert await _succeeds(self.changes.delete(id_, who)) == allowed
        if allowed:
            self.world.films[id_] = replace(film, deleted=True)

    async def _restore(self, who: Caller, id_: str, overtaken: object) -> None:
        self.world.asked.clear()
        loop = asyncio.get_running_loop()

        def meanwhile() -> None:
            match overtaken:
                case "move", str(other), home:
                    asyncio.run_coroutine_threadsafe(self._move(other, home), loop).result(10)
                case _:
                    self._small(overtaken)

        self.world.meanwhile = meanwhile if overtaken else None
        restored = await _succeeds(self.changes.restore(id_, who))
        self.world.meanwhile = None
        assert restored == self.world.may_restore(who, id_)
        if restored:
            self.world.films[id_] = replace(self.world.films[id_], deleted=False)

    async def _move(self, id_: str, home: object) -> None:
        assert home is None or isinstance(home, str)
        film = self.world.films[id_]
        if film.deleted:
            # The API never makes such a row; one that was repaired by hand must not open a way, either.
            async with self.database.write() as transaction:
                video = await VideoRepository(transaction.session).get_locked(id_)
                assert video is not None
                video.corporation_id = home
        else:
            asked = VideoEditor(self.database, _Everybody(), lambda: self.world.now)
            await asked.edit(id_, Edit(moves=True, corporation_id=home), ADMIN)
        self.world.films[id_] = replace(film, corporation=home)

    async def look(self) -> None:
        """Everybody sees what the model says, and nothing else."""
        async with self.database.read() as session:
            searcher = next(self.searchers)
            for who in PEOPLE:
                visible = VisibleVideoRepository(session, who)
                listed = VideoListRepository(session, who)
                sort = next(self.sorts)
                seen, total = await listed.page(Criteria(), sort=sort, limit=100)
                assert {video.id for video in seen} == self.world.seen_by(who)
                assert total == len(seen)
                if who is searcher:
                    await self._search(session, who)
                trashed, _ = await visible.trash(offset=0, limit=100)
                assert {video.id for video in trashed} == self.world.trashed_for(who)

    async def _search(self, session: AsyncSession, who: Caller) -> None:
        """Search finds and counts what the model says, by every way to find something."""
        documents = SearchRepository(session, who)
        await documents.prepare()
        text, seen = next(self.texts), self.world.seen_by(who)
        query = parse(text)
        found, total = await documents.strict(query, 100)
        by_title = await documents.by_title(query, 100)
        maybe = await documents.tolerant(query, await documents.near(query.words))
        assert {each.video_id for each in found} == (set() if text == "flim" else seen)
        assert total == len(found)
        assert {each.video_id for each in by_title} == (seen if "film".startswith(text) else set())
        assert {each.video_id for each in maybe} == seen
        results = await Search(self.database, Cards(encode_card)).find(who, text, offset=0, limit=100)
        shown = {json.loads(result.card)["id"] for result in results.results}
        assert (shown, results.total) == (seen, len(seen))


class _Everybody:
    """An auth in which every corporation exists."""

    async def get(self, corporation_id: str) -> Plan | None:
        return Plan(is_paid=False, expires_at=None)


def test_without_a_right_no_video_is_seen_or_restored(tmp_path: Path, migrated: MigratedDatabases) -> None:
    url = migrated.sqlite(tmp_path / "catalog.db")
    outcomes = {"restored": 0, "refused": 0}

    with asyncio.Runner() as runner:
        database = Database(url)

        async def play(random: Random) -> None:
            world = World(a_catalogue(random))
            run = Play(database, world)
            await run.stock()
            await run.look()
            for step in [a_step(random) for _ in range(STEPS)]:
                in_trash = {id_ for id_, film in world.films.items() if film.deleted}
                await run.take(step)
                if step[0] == "restore" and step[2] in in_trash:
                    assert isinstance(step[2], str)
                    outcomes["refused" if world.films[step[2]].deleted else "restored"] += 1
                await run.look()

        for seed in range(PLAYS):
            try:
                runner.run(play(Random(seed)))
            except BaseException as error:
                error.add_note(f"in the play of Random({seed})")
                raise
        runner.run(database.close())
    # Without plenty of both the test would mean nothing.
    assert min(outcomes.values()) > PLAYS // 8, outcomes


async def _succeeds(step: object) -> bool:
    try:
        await step  # type: ignore[misc]
    except ApiError:
        return False
    return True


def _row(id_: str, film: Film) -> Video:
    return Video(
        id=id_,
        title="Film 일요일",
        description="",
        tags=[],
        status="ready" if film.ready else "processing",
        uploader_id=film.uploader,
        corporation_id=film.corporation,
        mime_type="video/mp4",
        created_at=BEGINNING,
        updated_at=BEGINNING,
        deleted_at=BEGINNING if film.deleted else None,
        version=1,
        assets=[],
        artworks=[],
        jobs=[],
    )
