"""The home page and recommendations.

What all viewers of one reach share is kept for seconds, as ids only: each answer looks up its films anew with the
caller's rights, so no cached row can show what a caller may not see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import structlog

from kit.aio.single_flight import SingleFlight
from kit.cache import ExpiringCache
from kit.db.database import Database
from kit.encoded_json import Encoded
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from services.catalog.clients.progress import ViewerHome, Viewing, WatchRecord
from services.catalog.domain import Caller, Reach
from services.catalog.home.domain import (
    VIEWER_KINDS,
    Candidates,
    Reason,
    RowKind,
    most_used,
    next_episodes,
    recommend,
    series_to_continue,
    without,
)
from services.catalog.home.repository import HomeRepository, Watchable
from services.catalog.repository.videos import VideoRepository, VisibleVideoRepository
from services.catalog.series.domain import in_order
from services.catalog.service.cards import Cards

log = structlog.get_logger()

ROW_LENGTH = 20
"""Films of a row in one answer."""
MAX_SHARED_SEC = 4.0
"""Seconds for which rows of the catalogue are kept; events drop them sooner."""
MAX_SHARED = 3000
"""Rows of all kinds and reaches that are kept."""
MAX_TAG_ROWS = 3
MAX_SERIES_ROWS = 3
RECENT = 200
"""Newest films that decide which tags and series have a row."""
MAX_ALIKE = 60
MAX_RECOMMENDATIONS = 24


@dataclass(frozen=True, slots=True)
class Item:
    """A film in a row."""

    video_id: str
    card: Encoded
    record: WatchRecord | None
    """How far the viewer has come; None when it was never watched, or progress can't be asked."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the home page; never empty in an answer to `home`."""

    candidates: Candidates
    items: list[Item]


class HomePage:
    """Builds home pages and recommendations.

    Args:
        database: where the films are.
        viewing: what is watched; without it, rows made of that are absent.
        kinds: the rows, in their order.
        cards: the films as rows show them.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        database: Database,
        viewing: Viewing,
        kinds: Sequence[RowKind],
        cards: Cards,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._viewing = viewing
        self._kinds = kinds
        self._cards = cards
        self._rows: ExpiringCache[Reach, list[Candidates]] = ExpiringCache(MAX_SHARED, MAX_SHARED_SEC, clock)
        self._trending: ExpiringCache[Reach, _Trending] = ExpiringCache(MAX_SHARED, MAX_SHARED_SEC, clock)
        self._alike: ExpiringCache[tuple[Reach, str], Sequence[str]] = ExpiringCache(MAX_SHARED, MAX_SHARED_SEC, clock)
        self._flight: SingleFlight[Reach, list[Candidates]] = SingleFlight()

    def forget(self) -> None:
        """Drop what is kept: something in the catalogue has changed."""
        for kept in (self._rows, self._trending, self._alike):
            kept.clear()
        self._flight.clear()

    async def home(self, caller: Caller, viewer: ViewerHome) -> list[Row]:
        """Return the rows of a caller's home page, without empty ones.

        Args:
            caller: who asks.
            viewer: as `viewer` returns it: what the page is made of beside the catalogue.
        """
        reach = Reach.of(caller)
        shared = await self._get_shared(reach)
        async with self._database.read() as session:
            films = _Films(HomeRepository(session, reach))
            await films.look_up([*viewer.film_ids, *(video_id for row in shared for video_id in row.ids)])
            own = await self._viewer_rows(films, reach, viewer, VIEWER_KINDS & set(self._kinds))
            rows = [row for kind in self._kinds for row in [*own, *shared] if row.kind is kind]
            first = [_page(row, "") if row.kind in VIEWER_KINDS else row for row in rows]
            filled = await self._fill(VideoRepository(session), films, first, viewer)
        return [row for row in filled if row.items]

    async def row(self, caller: Caller, kind: RowKind, key: str, after: str) -> Row:
        """Return a page of one row; it may be empty.

        Args:
            caller: who asks.
            kind: of the row.
            key: of the row.
            after: `Candidates.next` of the page before; empty for the first page.
        """
        reach = Reach.of(caller)
        viewer = await self.viewer(caller)
        async with self._database.read() as session:
            repository = HomeRepository(session, reach)
            films = _Films(repository)
            if kind in VIEWER_KINDS:
                await films.look_up(viewer.film_ids)
                rows = [row for row in await self._viewer_rows(films, reach, viewer, {kind}) if key in ("", row.key)]
                page = _page(rows[0], after) if rows else Candidates(kind, key, "", [], "")
            else:
                page = await _shared_page(repository, kind, key, after)
            (row,) = await self._fill(VideoRepository(session), films, [page], viewer)
        return row

    async def recommendations(self, video_id: str, caller: Caller) -> list[tuple[Encoded, Reason]]:
        """Return what to watch after a video, with the reasons. Raises ApiError: CONTENT_NOT_FOUND."""
        async with self._database.read() as session:
            if not is_id(video_id) or not await VisibleVideoRepository(session, caller).has(video_id):
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        try:
            co_watched = await self._viewing.co_watched(video_id)
        except ApiError as error:
            log.warning("recommendations_without_progress", code=error.code)
            co_watched = ()
        reach = Reach.of(caller)
        async with self._database.read() as session:
            repository = HomeRepository(session, reach)
            films = _Films(repository)
            series_id = await repository.series_of(video_id)
            episodes = await repository.episodes([series_id]) if series_id else []
            alike = await self._get_alike(repository, reach, video_id)
            # Only afterwards is it known which of the co-watched the caller may see.
            chosen = recommend(video_id, episodes, co_watched, alike, limit=MAX_RECOMMENDATIONS + len(co_watched))
            await films.look_up([each for each, _ in chosen])
            shown = [(each, reason) for each, reason in chosen if each in films][:MAX_RECOMMENDATIONS]
            cards = await self._cards.load(VideoRepository(session), films.versions([each for each, _ in shown]))
        return [(cards[each], reason) for each, reason in shown]

    async def viewer(self, caller: Caller) -> ViewerHome:
        """Return what progress knows of the caller; nothing while it is away."""
        try:
            return await self._viewing.home(caller.user_id)
        except ApiError as error:
            log.warning("home_without_progress", code=error.code)
            return ViewerHome()

    async def _viewer_rows(
        self, films: _Films, reach: Reach, viewer: ViewerHome, kinds: Collection[RowKind]
    ) -> list[Candidates]:
        """Return the rows made of what is watched, whole, with films only that the caller may see."""
        seen = [record for record in viewer.watched if record.video_id in films]
        states = [(record.video_id, record.completed) for record in seen]
        rows: list[Candidates] = []
        if RowKind.CONTINUE_WATCHING in kinds:
            begun = [record.video_id for record in seen if not record.completed and record.position_sec > 0]
            rows.append(Candidates(RowKind.CONTINUE_WATCHING, "", "", begun, ""))
        if RowKind.NEXT_EPISODE in kinds:
            series_ids = series_to_continue(states, {each: films[each].series_id for each, _ in states})
            episodes = await films.repository.episodes(series_ids) if series_ids else []
            rows.append(Candidates(RowKind.NEXT_EPISODE, "", "", next_episodes(states, episodes), ""))
        if RowKind.TRENDING in kinds:
            rows.append(Candidates(RowKind.TRENDING, "", "", await self._get_trending(films, reach, viewer), ""))
        if RowKind.BECAUSE_YOU_WATCHED in kinds and seen:
            seed = films[seen[0].video_id]
            watched = [record.video_id for record in viewer.watched]
            co_watched = [each for each in viewer.co_watched if each in films] if seed.id == watched[0] else []
            alike = await self._get_alike(films.repository, reach, seed.id)
            ids = without([*co_watched, *alike], {seed.id, *watched})
            rows.append(Candidates(RowKind.BECAUSE_YOU_WATCHED, seed.id, seed.title, ids, ""))
        return rows

    async def _fill(
        self, videos: VideoRepository, films: _Films, rows: Sequence[Candidates], viewer: ViewerHome
    ) -> list[Row]:
        """Return rows with those of their films that the caller may watch now."""
        ids = [video_id for row in rows for video_id in row.ids]
        await films.look_up(ids)
        cards = await self._cards.load(videos, films.versions(ids))
        records = {record.video_id: record for record in viewer.watched}
        return [
            Row(row, [Item(each, cards[each], records.get(each)) for each in row.ids if each in cards]) for row in rows
        ]

    async def _get_shared(self, reach: Reach) -> list[Candidates]:
        """Return the first pages of the rows that the catalogue alone decides."""
        kept = self._rows.get(reach)
        return kept if kept is not None else await self._flight.run(reach, lambda: self._read_shared(reach))

    async def _read_shared(self, reach: Reach) -> list[Candidates]:
        mark = self._rows.begin()
        async with self._database.read() as session:
            rows = await _shared_rows(HomeRepository(session, reach), set(self._kinds))
        self._rows.put(reach, rows, mark)
        return rows

    async def _get_trending(self, films: _Films, reach: Reach, viewer: ViewerHome) -> Sequence[str]:
        """Return what all viewers watch most, as far as it can be seen in a reach."""
        mark, kept = self._trending.begin(), self._trending.get(reach)
        if kept is None or kept.everywhere != viewer.trending:
            await films.look_up(viewer.trending)
            kept = _Trending(viewer.trending, [each for each in viewer.trending if each in films])
            self._trending.put(reach, kept, mark)
        return kept.in_reach

    async def _get_alike(self, repository: HomeRepository, reach: Reach, video_id: str) -> Sequence[str]:
        """Return the films of a reach that have most tags in common with a film."""
        mark, kept = self._alike.begin(), self._alike.get((reach, video_id))
        if kept is None:
            kept = await repository.alike(video_id, MAX_ALIKE)
            self._alike.put((reach, video_id), kept, mark)
        return kept


@dataclass(frozen=True, slots=True)
class _Trending:
    """What is watched most, and that of it which can be seen in a reach."""

    everywhere: Sequence[str]
    in_reach: Sequence[str]


class _Films:
    """Films that the caller of one request may watch, each looked up once."""

    def __init__(self, repository: HomeRepository) -> None:
        self.repository = repository
        self._asked: set[str] = set()
        self._found: dict[str, Watchable] = {}

    async def look_up(self, ids: Iterable[str]) -> None:
        """Find those of these films that can be watched."""
        if new := set(ids) - self._asked:
            self._asked |= new
            self._found |= {film.id: film for film in await self.repository.look_up(new)}

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._found

    def __getitem__(self, video_id: str) -> Watchable:
        return self._found[video_id]

    def versions(self, ids: Iterable[str]) -> dict[str, int]:
        """Return the versions of those of these films that can be watched."""
        return {each: self._found[each].version for each in ids if each in self._found}


async def _shared_rows(repository: HomeRepository, kinds: set[RowKind]) -> list[Candidates]:
    """Return the first pages of the rows that the catalogue alone decides."""
    recent = await repository.newest(RECENT)
    rows: list[Candidates] = []
    if RowKind.NEW in kinds:
        rows.append(_keyset(RowKind.NEW, "", "", [video_id for video_id, _, _ in recent[: ROW_LENGTH + 1]]))
    if RowKind.TAG in kinds:
        tags = most_used((tags for _, tags, _ in recent), MAX_TAG_ROWS)
        rows += [await _shared_page(repository, RowKind.TAG, tag, "") for tag in tags]
    if RowKind.SERIES in kinds:
        series_ids = list(dict.fromkeys(series for _, _, series in recent if series))[:MAX_SERIES_ROWS]
        rows += await _series_rows(repository, series_ids)
    if RowKind.CORPORATION in kinds:
        rows.append(await _shared_page(repository, RowKind.CORPORATION, "", ""))
    return rows


async def _shared_page(repository: HomeRepository, kind: RowKind, key: str, after: str) -> Candidates:
    """Return a page of a row that the catalogue alone decides."""
    match kind:
        case RowKind.NEW:
            ids: Sequence[str] = [video_id for video_id, _, _ in await repository.newest(ROW_LENGTH + 1, after)]
        case RowKind.TAG:
            ids = await repository.by_tag(key, ROW_LENGTH + 1, after)
        case RowKind.SERIES:
            rows = await _series_rows(repository, [key], after)
            return rows[0] if rows else Candidates(kind, key, "", [], "")
        case _:
            ids = await repository.of_corporation(ROW_LENGTH + 1, after)
    return _keyset(kind, key, key, ids)


async def _series_rows(repository: HomeRepository, series_ids: Sequence[str], after: str = "") -> list[Candidates]:
    episodes = await repository.episodes(series_ids)
    # A title is shown with a film of the series that the caller may see only.
    titles = await repository.titles(sorted({episode.series_id for episode in episodes}))
    rows = []
    for series_id in series_ids:
        ids = [each.id for each in in_order([each for each in episodes if each.series_id == series_id])]
        if ids:
            row = Candidates(RowKind.SERIES, series_id, titles.get(series_id, ""), ids, "")
            rows.append(_page(row, after))
    return rows


def _keyset(kind: RowKind, key: str, label: str, ids: Sequence[str]) -> Candidates:
    """Return a page of ids of which one more than fits was read; the next page begins after the last one shown."""
    shown = ids[:ROW_LENGTH]
    return Candidates(kind, key, label, shown, shown[-1] if len(ids) > ROW_LENGTH else "")


def _page(row: Candidates, after: str) -> Candidates:
    """Return the page of a whole row that begins at position `after`."""
    begin = int(after) if after.isdecimal() and after.isascii() and len(after) < len("10000") else 0
    end = begin + ROW_LENGTH
    return Candidates(row.kind, row.key, row.label, row.ids[begin:end], str(end) if end < len(row.ids) else "")
