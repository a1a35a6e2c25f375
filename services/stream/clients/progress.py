"""gRPC client of progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grpc import aio

from kit.rpc import call
from marquee.progress.v1 import progress_pb2
from marquee.progress.v1.progress_pb2_grpc import ProgressServiceStub
from services.stream.hotcache.promoter import CountViews


def view_counter(channel: aio.Channel, days: int) -> CountViews:
    """Return a function that asks progress how often videos were watched in the last days.

    It raises ApiError: SERVICE_UNAVAILABLE.
    """
    stub = ProgressServiceStub(channel)

    async def count_views(video_ids: Sequence[str]) -> Mapping[str, int]:
        answer = await call(stub.GetViews, progress_pb2.GetViewsRequest(video_ids=video_ids, days=days))
        return {video.video_id: video.views for video in answer.videos}

    return count_views
