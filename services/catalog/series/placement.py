"""Put videos into series, in the transaction that edits them."""

from __future__ import annotations

from kit.db.database import Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from services.catalog.domain import Caller
from services.catalog.models import Video
from services.catalog.series.domain import Placement, may_change_series
from services.catalog.series.repository import SeriesRepository


async def place_in_series(transaction: Transaction, video: Video, placement: Placement, caller: Caller) -> None:
    """Put a video into a series, move it within one, or take it out.

    Raises:
        ApiError: VALIDATION_FAILED when the caller sees no such series; AUTH_FORBIDDEN for another user's series.
    """
    if placement.series_id is None:
        if placement.season is not None or placement.episode is not None:
            raise invalid_field("series_id", "a season and an episode need a series")
    elif placement.series_id != video.series_id:
        series = await SeriesRepository(transaction.session, caller).get(placement.series_id)
        if series is None:
            raise invalid_field("series_id", "there is no such series")
        if not may_change_series(caller, series):
            raise ApiError(ErrorCode.AUTH_FORBIDDEN)
    video.series_id = placement.series_id
    video.season = placement.season
    video.episode = placement.episode
