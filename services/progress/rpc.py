"""gRPC API of progress: translates calls into calls of use cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grpc import aio

from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from marquee.progress.v1 import progress_pb2, progress_pb2_grpc
from services.progress.domain import VIEW_DAYS
from services.progress.repository import Watched
from services.progress.service import Homes, Views

MAX_IDS = 100
Context = aio.ServicerContext[Any, Any]


class ProgressServicer(progress_pb2_grpc.ProgressServiceServicer):
    """Answer calls of other services."""

    def __init__(self, views: Views, homes: Homes) -> None:
        self._views = views
        self._homes = homes

    async def GetViews(  # noqa: N802
        self,
        request: progress_pb2.GetViewsRequest,
        context: Context,  # noqa: ARG002
    ) -> progress_pb2.GetViewsResponse:
        """Return the views of several videos."""
        _check_days(request.days)
        _check_ids(len(request.video_ids))
        return progress_pb2.GetViewsResponse(
            videos=_views(await self._views.by_videos(request.video_ids, request.days))
        )

    async def GetHome(  # noqa: N802
        self,
        request: progress_pb2.GetHomeRequest,
        context: Context,  # noqa: ARG002
    ) -> progress_pb2.GetHomeResponse:
        """Return all that a viewer's home page needs."""
        home = await self._homes.home(request.user_id)
        return progress_pb2.GetHomeResponse(
            watched=[_watched(record) for record in home.watched],
            trending=_views(dict(home.trending)),
            co_watched=home.co_watched,
        )

    async def GetCoWatched(  # noqa: N802
        self,
        request: progress_pb2.GetCoWatchedRequest,
        context: Context,  # noqa: ARG002
    ) -> progress_pb2.GetCoWatchedResponse:
        """Return what else the viewers of a video have watched."""
        found = await self._homes.co_watched(request.video_id) if is_id(request.video_id) else ()
        return progress_pb2.GetCoWatchedResponse(video_ids=found)


def register(servicer: ProgressServicer, server: aio.Server) -> None:
    """Add the servicer to a server."""
    progress_pb2_grpc.add_ProgressServiceServicer_to_server(servicer, server)


def _check_ids(count: int) -> None:
    if count > MAX_IDS:
        raise ApiError(ErrorCode.VALIDATION_FAILED, f"at most {MAX_IDS} video_ids")


def _check_days(days: int) -> None:
    if not 1 <= days <= VIEW_DAYS:
        raise ApiError(ErrorCode.VALIDATION_FAILED, f"days must be 1 to {VIEW_DAYS}")


def _views(counted: Mapping[str, int]) -> list[progress_pb2.VideoViews]:
    return [progress_pb2.VideoViews(video_id=video_id, views=views) for video_id, views in counted.items()]


def _watched(record: Watched) -> progress_pb2.Watched:
    return progress_pb2.Watched(
        video_id=record.video_id,
        position_sec=record.position_sec,
        duration_sec=record.duration_sec,
        completed=record.completed,
    )
