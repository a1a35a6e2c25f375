"""gRPC API of stream: translates calls into calls of use cases."""

from __future__ import annotations

from typing import Any

import grpc
from grpc import aio

from marquee.stream.v1 import stream_pb2, stream_pb2_grpc
from services.stream.protection.content_keys import ContentKeys, ProtectionUnavailableError

Context = aio.ServicerContext[Any, Any]


class StreamServicer(stream_pb2_grpc.StreamServiceServicer):
    """Answer calls of other services."""

    def __init__(self, content_keys: ContentKeys) -> None:
        self._content_keys = content_keys

    async def IssueContentKey(  # noqa: N802
        self, request: stream_pb2.IssueContentKeyRequest, context: Context
    ) -> stream_pb2.IssueContentKeyResponse:
        """Return the content key of a pack."""
        try:
            key = await self._content_keys.issue(request.video_id, request.asset_id)
        except ProtectionUnavailableError as error:
            if error.dependency != "master_key":
                raise
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the master key is not configured, or wrong")
        return stream_pb2.IssueContentKeyResponse(key_id=str(key.id), secret=key.secret)


def register(servicer: StreamServicer, server: aio.Server) -> None:
    """Add the servicer to a server."""
    stream_pb2_grpc.add_StreamServiceServicer_to_server(servicer, server)
