"""A progress service for tests of the home page: answers what a test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from grpc import aio

from kit.rpc import GrpcServer
from marquee.progress.v1 import progress_pb2, progress_pb2_grpc


class FakeProgress(progress_pb2_grpc.ProgressServiceServicer):
    """What is watched, by user and video."""

    def __init__(self) -> None:
        self.watched: dict[str, list[tuple[str, bool]]] = {}
        """By user: videos and whether they were completed, the last first. Others are watched to 5 s of 12.5."""
        self.trending: list[str] = []
        self.co_watched: dict[str, list[str]] = {}
        self.calls: list[str] = []

    async def GetHome(self, request: progress_pb2.GetHomeRequest, context: Any) -> progress_pb2.GetHomeResponse:  # noqa: N802
        """Return what was set for a user."""
        self.calls.append("GetHome")
        watched = self.watched.get(request.user_id, [])
        return progress_pb2.GetHomeResponse(
            watched=[
                progress_pb2.Watched(video_id=each, position_sec=5, duration_sec=12.5, completed=completed)
                for each, completed in watched
            ],
            trending=[progress_pb2.VideoViews(video_id=each, views=1) for each in self.trending],
            co_watched=self.co_watched.get(watched[0][0], []) if watched else [],
        )

    async def GetViews(  # noqa: N802
        self,
        request: progress_pb2.GetViewsRequest,
        context: Any,
    ) -> progress_pb2.GetViewsResponse:
        """Return none."""
        return progress_pb2.GetViewsResponse()

    async def GetCoWatched(  # noqa: N802
        self,
        request: progress_pb2.GetCoWatchedRequest,
        context: Any,
    ) -> progress_pb2.GetCoWatchedResponse:
        """Return what was set for a video."""
        self.calls.append("GetCoWatched")
        return progress_pb2.GetCoWatchedResponse(video_ids=self.co_watched.get(request.video_id, []))


@asynccontextmanager
async def serve_progress(folder: Path) -> AsyncIterator[FakeProgress]:
    """Serve a progress at the socket that the fixture `catalog` asks."""
    servicer = FakeProgress()

    def add(servicer: FakeProgress, server: aio.Server) -> None:
        progress_pb2_grpc.add_ProgressServiceServicer_to_server(servicer, server)

    server = GrpcServer("progress", f"unix:{folder / 'progress'}", [partial(add, servicer)])
    await server.start()
    yield servicer
    await server.stop(0)
