"""Routes of titles."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, model_validator

from kit.auth.authentication import ClientAddress, CurrentCaller, protected_router
from kit.web.schemas import Schema, View
from services.catalog.titles.service import MAX_VIDEOS, Choice, Proposal, Titles


class TitleRequest(Schema):
    """A template, and the videos that it is for: some, or all of a series."""

    template: str = Field(max_length=40, description="A name of MARQUEE_TITLE_TEMPLATES.")
    video_ids: list[UUID] | None = Field(None, min_length=1, max_length=MAX_VIDEOS)
    series_id: UUID | None = None

    @model_validator(mode="after")
    def _names_videos(self) -> Self:
        if (self.video_ids is None) == (self.series_id is None):
            raise ValueError("give either video_ids or series_id")
        return self

    def choice(self) -> Choice:
        """Return the same for the use cases."""
        ids = None if self.video_ids is None else [str(each) for each in self.video_ids]
        return Choice(self.template, ids, str(self.series_id) if self.series_id else None)


class TitleView(View):
    """What a template makes of a video's title."""

    video_id: str
    before: str
    after: str | None = Field(description="null when it can't be made.")
    missing: str | None = Field(description="The field of the template that is empty for this video, if any.")

    @classmethod
    def of(cls, proposal: Proposal) -> TitleView:
        """Return a proposal as the API shows it."""
        return cls(video_id=proposal.video.id, before=proposal.before, after=proposal.after, missing=proposal.missing)


class TitlesView(View):
    """What a template makes of several titles."""

    items: list[TitleView]


class TemplateView(View):
    """A template of titles."""

    name: str
    text: str


class TemplatesView(View):
    """The templates that the operator has set."""

    items: list[TemplateView]


def build_router(titles: Titles) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/titles/templates")
    async def list_templates(caller: CurrentCaller) -> TemplatesView:  # noqa: ARG001 - only those logged in
        """List the templates of titles."""
        return TemplatesView(items=[TemplateView(name=each.name, text=each.text) for each in titles.templates])

    @router.post("/api/titles/preview")
    async def preview_titles(body: TitleRequest, caller: CurrentCaller) -> TitlesView:
        """Return what a template would make of titles. Videos that the caller may not edit are left out."""
        return TitlesView(items=[TitleView.of(each) for each in await titles.preview(body.choice(), caller)])

    @router.post("/api/titles/apply")
    async def apply_titles(body: TitleRequest, caller: CurrentCaller, address: ClientAddress) -> TitlesView:
        """Set titles as the preview shows them; return those that have changed."""
        changed = await titles.apply(body.choice(), caller, address)
        return TitlesView(items=[TitleView.of(each) for each in changed])

    return router
