"""gRPC API of progress: translates, decides nothing."""

from __future__ import annotations

from typing import Any

from grpc import aio

from kit.errors import ApiError
from kit.rpc import timestamp
from marquee.progress.v1 import progress_pb2, progress_pb2_grpc
from services.progress.models import WatchProgress
from services.progress.service import History

MAX_IDS = 100
Context = aio.ServicerContext[Any, Any]


class ProgressServicer(progress_pb2_grpc.ProgressServiceServicer):
    """Answers other services."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def GetProgress(  # noqa: N802
        self,
        request: progress_pb2.GetProgressRequest,
        context: Context,  # noqa: ARG002
    ) -> progress_pb2.GetProgressResponse:
        """A viewer's records of several videos."""
        if len(request.video_ids) > MAX_IDS:
            raise ApiError("VALIDATION_FAILED", f"at most {MAX_IDS} video_ids")
        records = await self._history.records(request.user_id, request.video_ids)
        return progress_pb2.GetProgressResponse(records=[_message(record) for record in records])


def register(servicer: ProgressServicer, server: aio.Server) -> None:
    """Adds the servicer to a server."""
    progress_pb2_grpc.add_ProgressServiceServicer_to_server(servicer, server)


def _message(record: WatchProgress) -> progress_pb2.Progress:
    return progress_pb2.Progress(
        video_id=record.video_id,
        position_sec=record.position_sec,
        duration_sec=record.duration_sec,
        completed=record.completed,
        updated_at=timestamp(record.updated_at),
    )
