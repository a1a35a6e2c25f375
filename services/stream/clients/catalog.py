"""gRPC client of catalog."""

from __future__ import annotations

from grpc import aio

from kit.rpc import call
from marquee.catalog.v1 import catalog_pb2
from marquee.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from services.stream.domain import AssetKind, Source
from services.stream.sources.cache import Fetch


def source_fetcher(channel: aio.Channel) -> Fetch:
    """Return a function that asks catalog for the source of a video.

    It raises ApiError: CONTENT_NOT_FOUND, CONTENT_NOT_READY, SERVICE_UNAVAILABLE.
    """
    stub = CatalogServiceStub(channel)

    async def fetch(video_id: str) -> Source:
        answer = await call(stub.GetSource, catalog_pb2.GetSourceRequest(video_id=video_id))
        return Source(
            # While an upgrade rolls, a catalog from before assets may answer.
            asset_id=answer.asset_id or answer.video_id,
            kind=answer.asset_kind or AssetKind.SOURCE,
            video_id=answer.video_id,
            reference=answer.reference,
            size_bytes=answer.size_bytes,
            mime_type=answer.mime_type,
            duration_sec=answer.duration_sec,
            video_codec=answer.video_codec,
            audio_codec=answer.audio_codec,
            width=answer.width,
            height=answer.height,
            bitrate_bps=answer.bitrate_bps,
            version=answer.version,
            corporation_id=answer.corporation_id,
        )

    return fetch
