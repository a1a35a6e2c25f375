"""gRPC API of progress: translates calls into calls of use cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grpc import aio

from kit.errors import ApiError, ErrorCode
from kit.rpc import timestamp
from marquee.progress.v1 import progress_pb2, progress_pb2_grpc
from services.progress.domain import VIEW_DAYS
from services.progress.models import WatchProgress
from services.progress.service import History, Views

MAX_IDS = 100
MAX_TOP = 100
Context = aio.ServicerContext[Any, Any]


class ProgressServicer(progress_pb2_grpc.ProgressServiceServicer):
    """Answer calls of other services."""

    def __init__(self, history: History, views: Views) -> None:
        self._history = history
        self._views = views

    async def GetProgress(  # noqa: N802
        self,
        request: progress_pb2.GetProgressRequest,
        context: Context,  # noqa: ARG002
    ) -> progress_pb2.GetProgressResponse:
        """Return a viewer's records of several videos."""
        _check_ids(len(request.video_ids))
        records = await self._history.records(request.user_id, request.video_ids)
        return progress_pb2.GetProgressResponse(records=[_message(record) for record in records])

    async def TopVideos(  # noqa: N802
        self,
        request: progress_pb2.TopVideosRequest,
        context: Context,  # noqa: ARG002
    ) -> progress_pb2.TopVideosResponse:
        """Return the most viewed videos."""
        _check_days(request.days)
        if not 1 <= request.limit <= MAX_TOP:
            raise ApiError(ErrorCode.VALIDATION_FAILED, f"limit must be 1 to {MAX_TOP}")
        return progress_pb2.TopVideosResponse(videos=_views(await self._views.top(request.days, request.limit)))

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


def _message(record: WatchProgress) -> progress_pb2.Progress:
    return progress_pb2.Progress(
        video_id=record.video_id,
        position_sec=record.position_sec,
        duration_sec=record.duration_sec,
        completed=record.completed,
        updated_at=timestamp(record.updated_at),
    )
