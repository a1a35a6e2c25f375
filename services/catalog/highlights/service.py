"""Use cases of highlights."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from kit.audit import Admin
from kit.db.database import Database, Transaction
from kit.encoded_json import Encoded
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.ids import is_id, new_id
from marquee.events.v1 import video_pb2
from services.catalog.domain import Caller, may_change
from services.catalog.highlights.domain import MAX_HIGHLIGHTS, HighlightValues, problem_with
from services.catalog.highlights.repository import HighlightRepository
from services.catalog.listing.totals import Totals
from services.catalog.models import Highlight, Video
from services.catalog.repository.videos import VideoRepository, VisibleVideoRepository
from services.catalog.service.cards import Cards
from services.catalog.service.events import audit_event, touch, video_event

log = structlog.get_logger()


class Highlights:
    """Reads and edits the highlights of videos. A video's are edited by those who may edit the video.

    Args:
        database: where the highlights are.
        cards: their videos as lists show them.
    """

    def __init__(self, database: Database, cards: Cards) -> None:
        self._database = database
        self._cards = cards
        self._totals = Totals()

    async def of_video(self, video_id: str, caller: Caller) -> Sequence[Highlight]:
        """Return a video's highlights by their start. Raises ApiError: CONTENT_NOT_FOUND."""
        async with self._database.read() as session:
            if not is_id(video_id) or not await VisibleVideoRepository(session, caller).has(video_id):
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            return await HighlightRepository(session, caller).of_video(video_id)

    def forget(self) -> None:
        """Drop the totals that are kept: something in the catalogue has changed."""
        self._totals.clear()

    async def page(
        self, caller: Caller, *, category: str, player: str, sort: str, offset: int, limit: int
    ) -> tuple[list[tuple[Highlight, Encoded]], int]:
        """Return a page of the highlights of films that the caller may watch, with the films, and the total."""
        async with self._database.read() as session:
            found, total = await HighlightRepository(session, caller, self._totals).page(
                category=category, player=player, sort=sort, offset=offset, limit=limit
            )
            cards = await self._cards.load(
                VideoRepository(session), {each.video_id: version for each, version in found}
            )
        return [(each, cards[each.video_id]) for each, _ in found], total

    async def add(self, video_id: str, values: HighlightValues, caller: Caller, address: str) -> Highlight:
        """Add a highlight to a video.

        Raises:
            ApiError: CONTENT_NOT_FOUND, AUTH_FORBIDDEN; VALIDATION_FAILED when it is not within the film, or there are
                too many.
        """
        async with self._database.write() as transaction:
            video = await _get_own(transaction, video_id, caller)
            _check(values, video)
            highlights = HighlightRepository(transaction.session, caller)
            if await highlights.count(video_id) >= MAX_HIGHLIGHTS:
                raise invalid_field("items", f"a video has at most {MAX_HIGHLIGHTS} highlights")
            (highlight,) = made = [_new(video_id, values)]
            await highlights.add(made)
            await _record(transaction, video, caller, address, 1)
        return highlight

    async def replace(
        self, video_id: str, rows: Sequence[HighlightValues], caller: Caller, address: str
    ) -> Sequence[Highlight]:
        """Replace all highlights of a video; return them by their start.

        Raises:
            ApiError: CONTENT_NOT_FOUND, AUTH_FORBIDDEN; VALIDATION_FAILED, which names the row; nothing has changed.
        """
        async with self._database.write() as transaction:
            video = await _get_own(transaction, video_id, caller)
            for number, values in enumerate(rows):
                _check(values, video, f"items.{number}.")
            highlights = HighlightRepository(transaction.session, caller)
            await highlights.remove_all(video_id)
            ordered = sorted(rows, key=lambda values: values.start_sec)
            made = [_new(video_id, values) for values in ordered]
            await highlights.add(made)
            await _record(transaction, video, caller, address, len(made))
        log.info("highlights_replaced", content_id=video_id, user_id=caller.user_id, highlights=len(made))
        return made

    async def edit(
        self, highlight_id: str, values: HighlightValues, given: frozenset[str], caller: Caller, address: str
    ) -> Highlight:
        """Change the given fields of a highlight. Raises ApiError: as `add` does."""
        async with self._database.write() as transaction:
            highlight, video = await self._get_with_video(transaction, highlight_id, caller)
            for name in given:
                setattr(highlight, name, getattr(values, name))
            _check(values_of(highlight), video)
            highlight.updated_at = datetime.now(UTC)
            await HighlightRepository(transaction.session, caller).reindex(highlight)
            await _record(transaction, video, caller, address, 1)
        return highlight

    async def delete(self, highlight_id: str, caller: Caller, address: str) -> None:
        """Remove a highlight. Raises ApiError: CONTENT_NOT_FOUND, AUTH_FORBIDDEN."""
        async with self._database.write() as transaction:
            highlight, video = await self._get_with_video(transaction, highlight_id, caller)
            await HighlightRepository(transaction.session, caller).remove(highlight)
            await _record(transaction, video, caller, address, 1)

    async def _get_with_video(
        self, transaction: Transaction, highlight_id: str, caller: Caller
    ) -> tuple[Highlight, Video]:
        highlights = HighlightRepository(transaction.session, caller)
        highlight = await highlights.get(highlight_id) if is_id(highlight_id) else None
        if highlight is None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return highlight, await _get_own(transaction, highlight.video_id, caller)


def values_of(highlight: Highlight) -> HighlightValues:
    """Return what an editor set of a highlight."""
    return HighlightValues(
        highlight.start_sec,
        highlight.end_sec,
        highlight.category,
        highlight.title,
        highlight.players,
        highlight.pot_size,
    )


def _new(video_id: str, values: HighlightValues) -> Highlight:
    now = datetime.now(UTC)
    return Highlight(
        id=new_id(),
        video_id=video_id,
        start_sec=values.start_sec,
        end_sec=values.end_sec,
        category=values.category,
        title=values.title,
        players=values.players,
        pot_size=values.pot_size,
        created_at=now,
        updated_at=now,
    )


def _check(values: HighlightValues, video: Video, where: str = "") -> None:
    if problem := problem_with(values, video.duration_sec):
        raise invalid_field(f"{where}{problem[0]}", problem[1])


async def _get_own(transaction: Transaction, video_id: str, caller: Caller) -> Video:
    visible = VisibleVideoRepository(transaction.session, caller)
    video = await visible.get(video_id, lock=True) if is_id(video_id) else None
    if video is None:
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    if not may_change(caller, video):
        raise ApiError(ErrorCode.AUTH_FORBIDDEN)
    return video


async def _record(transaction: Transaction, video: Video, caller: Caller, address: str, count: int) -> None:
    """Record that a video's highlights have changed: viewers see them with the video."""
    touch(video)
    await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
    if caller.is_admin:
        admin = Admin(caller.user_id, address)
        action = audit_event(admin, "highlights.changed", video.id, title=video.title, highlights=count)
        await transaction.record(action)
