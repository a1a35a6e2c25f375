"""gRPC client of stream."""

from __future__ import annotations

from typing import Final, Protocol
from uuid import UUID

import structlog
from grpc import aio

from kit.errors import ApiError
from kit.rpc import call
from lsv import ContentKey
from marquee.stream.v1 import stream_pb2
from marquee.stream.v1.stream_pb2_grpc import StreamServiceStub
from services.thumbnailer import domain
from services.thumbnailer.media.errors import MediaError

log = structlog.get_logger()

DEADLINE_SEC: Final = 5.0


class ContentKeys(Protocol):
    """The content keys of protected films."""

    async def issue(self, video_id: str, asset_id: str) -> ContentKey:
        """Return the key of a pack, the same at each call.

        Raises:
            MediaError: KEYS_UNAVAILABLE.
        """


class StreamKeys:
    """`ContentKeys`, asked of stream."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub = StreamServiceStub(channel)

    async def issue(self, video_id: str, asset_id: str) -> ContentKey:
        """See `ContentKeys`."""
        request = stream_pb2.IssueContentKeyRequest(video_id=video_id, asset_id=asset_id)
        try:
            answer = await call(self._stub.IssueContentKey, request, deadline_sec=DEADLINE_SEC)
            return ContentKey(UUID(answer.key_id), answer.secret)
        except ApiError as error:
            log.warning("content_key_unavailable", content_id=video_id, code=error.code)
            raise MediaError.of(domain.KEYS_UNAVAILABLE) from error
        except ValueError:
            # Without its cause: a traceback could show the answer.
            log.error("content_key_malformed", content_id=video_id)
            raise MediaError.of(domain.KEYS_UNAVAILABLE) from None
