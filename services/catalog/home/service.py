"""The home page and recommendations.

What the catalogue alone decides is kept for seconds, by reach (everything, a corporation's, the platform's), as ids
only: each answer reads its films anew with the caller's rights, so no cached row can show what a caller may not see.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from kit.aio.single_flight import SingleFlight
from kit.cache import LruCache
from kit.db.database import Database
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from services.catalog.clients.progress import ViewerHome, Viewing, WatchRecord
from services.catalog.domain import Principal
from services.catalog.home.domain import (
    VIEWER_KINDS,
    Candidates,
    Reason,
    RowKind,
    most_used,
    next_episodes,
    recommend,
    without,
)
from services.catalog.home.repository import HomeRepository
from services.catalog.models import Video
from services.catalog.repository.videos import VisibleVideoRepository
from services.catalog.series.domain import in_order

log = structlog.get_logger()

ROW_LENGTH = 20
"""Films of a row in one answer."""
MAX_SHARED_SEC = 4.0
"""Seconds for which rows of the catalogue are kept; events drop them sooner."""
MAX_SCOPES = 1000
MAX_TAG_ROWS = 3
MAX_SERIES_ROWS = 3
RECENT = 200
"""Newest films that decide which tags and series have a row."""
MAX_ALIKE = 60
MAX_RECOMMENDATIONS = 24


@dataclass(frozen=True, slots=True)
class Item:
    """A film in a row."""

    video: Video
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
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        database: Database,
        viewing: Viewing,
        kinds: Sequence[RowKind],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._viewing = viewing
        self._kinds = kinds
        self._clock = clock
        self._shared: LruCache[str, tuple[float, list[Candidates]]] = LruCache(MAX_SCOPES)
        self._flight: SingleFlight[tuple[str, int], list[Candidates]] = SingleFlight()
        self._generation = 0

    def forget(self) -> None:
        """Drop what is kept: something in the catalogue has changed."""
        self._generation += 1
        self._shared.clear()

    async def home(self, principal: Principal) -> list[Row]:
        """Return the rows of a principal's home page, without empty ones."""
        viewer, shared = await asyncio.gather(self._viewer(principal), self._get_shared(principal))
        async with self._database.read() as session:
            repository = HomeRepository(session, principal)
            own = await _viewer_rows(repository, viewer, VIEWER_KINDS & set(self._kinds))
            rows = [row for kind in self._kinds for row in [*own, *shared] if row.kind is kind]
            first = [_page(row, "") if row.kind in VIEWER_KINDS else row for row in rows]
            filled = await _fill(repository, first, viewer)
        return [row for row in filled if row.items]

    async def row(self, principal: Principal, kind: RowKind, key: str, after: str) -> Row:
        """Return a page of one row; it may be empty.

        Args:
            principal: the caller.
            kind: of the row.
            key: of the row.
            after: `Candidates.next` of the page before; empty for the first page.
        """
        viewer = await self._viewer(principal)
        async with self._database.read() as session:
            repository = HomeRepository(session, principal)
            if kind in VIEWER_KINDS:
                rows = [row for row in await _viewer_rows(repository, viewer, {kind}) if key in ("", row.key)]
                page = _page(rows[0], after) if rows else Candidates(kind, key, "", [], "")
            else:
                page = await _shared_page(repository, kind, key, after)
            (row,) = await _fill(repository, [page], viewer)
        return row

    async def recommendations(self, video_id: str, principal: Principal) -> list[tuple[Video, Reason]]:
        """Return what to watch after a video, with the reasons. Raises ApiError: CONTENT_NOT_FOUND."""
        async with self._database.read() as session:
            if not is_id(video_id) or not await VisibleVideoRepository(session, principal).has(video_id):
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        try:
            co_watched = await self._viewing.co_watched(video_id)
        except ApiError as error:
            log.warning("recommendations_without_progress", code=error.code)
            co_watched = ()
        async with self._database.read() as session:
            repository = HomeRepository(session, principal)
            episodes = await repository.episodes_beside([video_id])
            alike = await repository.alike(video_id, MAX_ALIKE)
            # Only afterwards is it known which of the co-watched the caller may see.
            chosen = recommend(video_id, episodes, co_watched, alike, limit=MAX_RECOMMENDATIONS + len(co_watched))
            videos = await repository.load([each for each, _ in chosen])
        return [(videos[each], reason) for each, reason in chosen if each in videos][:MAX_RECOMMENDATIONS]

    async def _viewer(self, principal: Principal) -> ViewerHome:
        try:
            return await self._viewing.home(principal.user_id)
        except ApiError as error:
            log.warning("home_without_progress", code=error.code)
            return ViewerHome()

    async def _get_shared(self, principal: Principal) -> list[Candidates]:
        scope = "*" if principal.is_admin else ""
        scope += principal.corporation_id
        kept = self._shared.get(scope)
        if kept and self._clock() < kept[0]:
            return kept[1]
        return await self._flight.run((scope, self._generation), lambda: self._read_shared(scope, principal))

    async def _read_shared(self, scope: str, principal: Principal) -> list[Candidates]:
        generation, expires_at = self._generation, self._clock() + MAX_SHARED_SEC
        async with self._database.read() as session:
            rows = await _shared_rows(HomeRepository(session, principal), set(self._kinds))
        if generation == self._generation:
            self._shared.put(scope, (expires_at, rows))
        return rows


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


async def _viewer_rows(
    repository: HomeRepository, viewer: ViewerHome, kinds: set[RowKind] | frozenset[RowKind]
) -> list[Candidates]:
    """Return the rows made of what is watched, whole, with films only that the caller may see."""
    watched = [record.video_id for record in viewer.watched]
    visible = await repository.visible(without([*watched, *viewer.trending, *viewer.co_watched], ()))
    seen = [record for record in viewer.watched if record.video_id in visible]
    rows: list[Candidates] = []
    if RowKind.CONTINUE_WATCHING in kinds:
        begun = [record.video_id for record in seen if not record.completed and record.position_sec > 0]
        rows.append(Candidates(RowKind.CONTINUE_WATCHING, "", "", begun, ""))
    if RowKind.NEXT_EPISODE in kinds:
        states = [(record.video_id, record.completed) for record in seen]
        episodes = await repository.episodes_beside([video_id for video_id, _ in states])
        rows.append(Candidates(RowKind.NEXT_EPISODE, "", "", next_episodes(states, episodes), ""))
    if RowKind.TRENDING in kinds:
        ids = [video_id for video_id in viewer.trending if video_id in visible]
        rows.append(Candidates(RowKind.TRENDING, "", "", ids, ""))
    if RowKind.BECAUSE_YOU_WATCHED in kinds and seen:
        seed = seen[0].video_id
        co_watched = [each for each in viewer.co_watched if each in visible] if seed == watched[0] else []
        alike = await repository.alike(seed, MAX_ALIKE)
        ids = without([*co_watched, *alike], {seed, *watched})
        rows.append(Candidates(RowKind.BECAUSE_YOU_WATCHED, seed, visible[seed], ids, ""))
    return rows


async def _fill(repository: HomeRepository, rows: Sequence[Candidates], viewer: ViewerHome) -> list[Row]:
    """Return rows with those of their films that the caller may watch now."""
    videos = await repository.load(without([video_id for row in rows for video_id in row.ids], ()))
    records = {record.video_id: record for record in viewer.watched}
    return [Row(row, [Item(videos[each], records.get(each)) for each in row.ids if each in videos]) for row in rows]


def _keyset(kind: RowKind, key: str, label: str, ids: Sequence[str]) -> Candidates:
    """Return a page of ids of which one more than fits was read; the next page begins after the last one shown."""
    shown = ids[:ROW_LENGTH]
    return Candidates(kind, key, label, shown, shown[-1] if len(ids) > ROW_LENGTH else "")


def _page(row: Candidates, after: str) -> Candidates:
    """Return the page of a whole row that begins at position `after`."""
    begin = int(after) if after.isdecimal() and after.isascii() and len(after) < len("10000") else 0
    end = begin + ROW_LENGTH
    return Candidates(row.kind, row.key, row.label, row.ids[begin:end], str(end) if end < len(row.ids) else "")
