"""gRPC API of stream: translates, decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from grpc import aio

from kit.rpc import timestamp
from marquee.stream.v1 import stream_pb2, stream_pb2_grpc
from services.stream.delivery.transfers import Traffic
from services.stream.sessions import Sessions, SessionStatistics
from services.stream.slots import EndReason, Session

Context = aio.ServicerContext[Any, Any]


class StreamServicer(stream_pb2_grpc.StreamServiceServicer):
    """Answer other services.

    Args:
        traffic: counts the responses of this process.
        sessions: the use cases of play sessions.
        statistics: sums and rates over all sessions.
    """

    def __init__(self, traffic: Traffic, sessions: Sessions, statistics: SessionStatistics) -> None:
        self._traffic = traffic
        self._sessions = sessions
        self._statistics = statistics

    async def GetMetrics(  # noqa: N802
        self,
        request: stream_pb2.GetMetricsRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> stream_pb2.GetMetricsResponse:
        """Return counters of this replica, and sums over all sessions."""
        summary = self._statistics.summary(await self._sessions.all(), datetime.now(UTC))
        return stream_pb2.GetMetricsResponse(
            active_responses=self._traffic.active,
            total_responses=self._traffic.total,
            bytes_sent=self._traffic.bytes_sent,
            active_sessions=summary["active"],
            queued_sessions=summary["queued"],
            max_sessions=self._sessions.limits.platform,
            bandwidth_mbps=summary["bandwidth_mbps"],
        )

    async def ListSessions(  # noqa: N802
        self,
        request: stream_pb2.ListSessionsRequest,
        context: Context,  # noqa: ARG002
    ) -> stream_pb2.ListSessionsResponse:
        """Return all sessions, or those of one user."""
        sessions = self._sessions.of_user(request.user_id) if request.user_id else self._sessions.all()
        return stream_pb2.ListSessionsResponse(sessions=[_message(each) for each in await sessions])

    async def StopSession(  # noqa: N802
        self,
        request: stream_pb2.StopSessionRequest,
        context: Context,  # noqa: ARG002
    ) -> stream_pb2.StopSessionResponse:
        """End a session."""
        reason = EndReason.STOPPED if request.user_id else EndReason.ADMIN
        await self._sessions.stop(request.session_id, reason, request.user_id or None)
        return stream_pb2.StopSessionResponse()


def _message(session: Session) -> stream_pb2.Session:
    request = session.request
    return stream_pb2.Session(
        session_id=session.id,
        user_id=request.user_id,
        video_id=request.video_id,
        status=session.state.value,
        kind=request.kind.value,
        device_name=request.device_name,
        source=request.source,
        replica=session.replica,
        started_at=timestamp(session.started_at),
        seen_at=timestamp(session.seen_at),
        bytes_sent=session.bytes_sent,
    )


def add_servicer(servicer: StreamServicer, server: aio.Server) -> None:
    """Add the servicer to a server."""
    stream_pb2_grpc.add_StreamServiceServicer_to_server(servicer, server)
