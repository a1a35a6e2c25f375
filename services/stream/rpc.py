"""gRPC API of stream: translates, decides nothing."""

from __future__ import annotations

from typing import Any

from grpc import aio

from marquee.stream.v1 import stream_pb2, stream_pb2_grpc
from services.stream.traffic import Traffic

Context = aio.ServicerContext[Any, Any]


class StreamServicer(stream_pb2_grpc.StreamServiceServicer):
    """Answers other services."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    async def GetMetrics(  # noqa: N802
        self,
        request: stream_pb2.GetMetricsRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> stream_pb2.GetMetricsResponse:
        """Counters of this replica."""
        return stream_pb2.GetMetricsResponse(
            active_responses=self._traffic.active,
            total_responses=self._traffic.total,
            bytes_sent=self._traffic.bytes_sent,
        )


def register(servicer: StreamServicer, server: aio.Server) -> None:
    """Adds the servicer to a server."""
    stream_pb2_grpc.add_StreamServiceServicer_to_server(servicer, server)
