"""Parse the filters of a list of videos."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime

from kit.web.schemas import DECIMAL
from services.catalog.domain import MAX_TAG_CHARS, VideoStatus
from services.catalog.listing.criteria import Criteria


async def list_criteria(
    query: Annotated[str, Query(max_length=1000, description="Words of a title, or parts of them.")] = "",
    status: Annotated[VideoStatus | None, Query()] = None,
    tag: Annotated[str | None, Query(max_length=MAX_TAG_CHARS, description="Only videos with this tag.")] = None,
    corporation_id: Annotated[UUID | None, Query(description="Only this corporation's.")] = None,
    uploader_id: Annotated[str | None, Query(max_length=36, description="Only what this user uploaded.")] = None,
    min_duration_sec: Annotated[float | None, DECIMAL, Query(ge=0)] = None,
    max_duration_sec: Annotated[float | None, DECIMAL, Query(ge=0)] = None,
    min_height: Annotated[int | None, DECIMAL, Query(ge=1, le=100_000, description="Height in pixels.")] = None,
    codec: Annotated[str | None, Query(max_length=50, description="Of the picture, as `files` name it.")] = None,
    created_from: Annotated[AwareDatetime | None, Query(alias="from", description="Added then or later.")] = None,
    created_to: Annotated[AwareDatetime | None, Query(alias="to", description="Added before.")] = None,
) -> Criteria:
    """Return the conditions in the query."""
    return Criteria(
        query=query,
        status=status,
        tag=tag,
        corporation_id=str(corporation_id) if corporation_id else None,
        uploader_id=uploader_id,
        min_duration_sec=min_duration_sec,
        max_duration_sec=max_duration_sec,
        min_height=min_height,
        codec=codec,
        created_from=created_from,
        created_to=created_to,
    )
