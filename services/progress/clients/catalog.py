"""gRPC client of catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from grpc import aio

from kit.rpc import call
from marquee.catalog.v1 import catalog_pb2
from marquee.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from services.progress.domain import Video


class Catalog(Protocol):
    """Look up videos."""

    async def videos(self, ids: Sequence[str]) -> dict[str, Video]:
        """Return several videos, at most 100, by id; unknown ids are left out.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when catalog can't be reached.
        """


class CatalogClient:
    """Look up videos in the catalog service."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub = CatalogServiceStub(channel)

    async def videos(self, ids: Sequence[str]) -> dict[str, Video]:
        """Return several videos, in one call."""
        answer = await call(self._stub.GetVideos, catalog_pb2.GetVideosRequest(ids=ids))
        return {video.id: _video(video) for video in answer.videos}


def _video(message: catalog_pb2.Video) -> Video:
    return Video(
        id=message.id,
        title=message.title,
        status=message.status,
        duration_sec=message.duration_sec,
        thumbnail_url=message.thumbnail_url,
        corporation_id=message.corporation_id,
    )
