"""Use cases of titles: preview what a template makes of videos, and apply it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from kit.audit import Admin
from kit.db.database import Database
from kit.errors import invalid_field
from marquee.events.v1 import video_pb2
from services.catalog.domain import Caller, may_change
from services.catalog.models import Highlight, Video
from services.catalog.service.events import audit_event, touch, video_event
from services.catalog.titles.domain import Template, Values
from services.catalog.titles.repository import TitleRepository

log = structlog.get_logger()

MAX_VIDEOS = 500
"""Videos of one request."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A template, and the videos that it is for."""

    template: str
    video_ids: Sequence[str] | None = None
    series_id: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a template makes of a video's title."""

    video: Video
    before: str
    after: str | None
    """None when it can't be made."""
    missing: str | None
    """The field that is empty; None when none is."""


class Titles:
    """Makes titles by templates, of videos that the caller may edit.

    Args:
        database: where the videos are.
        templates: by name.
    """

    def __init__(self, database: Database, templates: Mapping[str, Template]) -> None:
        self._database = database
        self._templates = templates

    @property
    def templates(self) -> Sequence[Template]:
        """The templates that there are."""
        return list(self._templates.values())

    async def preview(self, choice: Choice, caller: Caller) -> Sequence[Proposal]:
        """Return what would become of the titles. Raises ApiError: VALIDATION_FAILED for an unknown template."""
        template = self._get(choice)
        async with self._database.read() as session:
            return await _propose(TitleRepository(session, caller), template, choice, caller, lock=False)

    async def apply(self, choice: Choice, caller: Caller, address: str) -> Sequence[Proposal]:
        """Change the titles; return those that have changed. Raises ApiError: as `preview` does."""
        template = self._get(choice)
        async with self._database.write() as transaction:
            repository = TitleRepository(transaction.session, caller)
            proposals = await _propose(repository, template, choice, caller, lock=True)
            changed = [each for each in proposals if each.after is not None and each.after != each.before]
            for each in changed:
                each.video.title = each.after or each.before
                touch(each.video)
                await transaction.record(video_event(video_pb2.VideoUpdated(video_id=each.video.id), each.video))
                if caller.is_admin:
                    admin = Admin(caller.user_id, address)
                    act = audit_event(admin, "video.changed", each.video.id, title=each.after, changed=["title"])
                    await transaction.record(act)
        log.info("titles_applied", user_id=caller.user_id, template=template.name, videos=len(changed))
        return changed

    def _get(self, choice: Choice) -> Template:
        template = self._templates.get(choice.template)
        if template is None:
            raise invalid_field("template", f"must be one of: {', '.join(self._templates)}")
        return template


async def _propose(
    repository: TitleRepository, template: Template, choice: Choice, caller: Caller, *, lock: bool
) -> Sequence[Proposal]:
    found = await repository.videos(ids=choice.video_ids, series_id=choice.series_id, limit=MAX_VIDEOS, lock=lock)
    videos = [video for video in found if may_change(caller, video)]
    titles = await repository.series_titles(sorted({video.series_id for video in videos if video.series_id}))
    best = await repository.best_highlights([video.id for video in videos])
    return [_proposal(template, video, _values(video, titles, best.get(video.id))) for video in videos]


def _proposal(template: Template, video: Video, values: Values) -> Proposal:
    try:
        after = template.render(values)
    except LookupError as error:
        return Proposal(video, video.title, None, str(error.args[0]))
    return Proposal(video, video.title, after or None, None)


def _values(video: Video, series_titles: Mapping[str, str], best: Highlight | None) -> Values:
    return {
        "series": series_titles.get(video.series_id or ""),
        "season": video.season,
        "episode": video.episode,
        "title": video.title,
        "category": best.category if best else None,
        "highlight": best.title if best else None,
        "players": ", ".join(best.players) if best else None,
        "pot": f"{best.pot_size:,.0f}" if best and best.pot_size else None,
    }
