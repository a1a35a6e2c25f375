"""gRPC API of catalog: translates, decides nothing."""

from __future__ import annotations

from typing import Any

from grpc import aio

from kit.errors import ApiError, ErrorCode
from kit.rpc import timestamp
from marquee.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from services.catalog.models import Video
from services.catalog.schemas import thumbnail_url
from services.catalog.service import Videos
from services.catalog.service.answers import Answers

MAX_IDS = 100
Context = aio.ServicerContext[Any, Any]


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """The gRPC API of catalog."""

    def __init__(self, videos: Videos, answers: Answers) -> None:
        self._videos = videos
        self._answers = answers

    async def GetSource(  # noqa: N802
        self,
        request: catalog_pb2.GetSourceRequest,
        context: Context,  # noqa: ARG002
    ) -> catalog_pb2.GetSourceResponse:
        """Return where the bytes are that may be served of a video: its source, or the pack of a protected one."""
        video, source = await self._videos.playable(request.video_id)
        return catalog_pb2.GetSourceResponse(
            video_id=video.id,
            reference=source.reference,
            size_bytes=source.size_bytes,
            mime_type=video.mime_type,
            duration_sec=video.duration_sec or 0,
            video_codec=source.video_codec or "",
            audio_codec=source.audio_codec or "",
            width=source.width or 0,
            height=source.height or 0,
            bitrate_bps=source.bitrate_bps or 0,
            version=source.version,
            corporation_id=video.corporation_id or "",
            uploader_id=video.uploader_id,
            asset_id=source.id,
            asset_kind=source.kind,
        )

    async def GetVideos(  # noqa: N802
        self,
        request: catalog_pb2.GetVideosRequest,
        context: Context,  # noqa: ARG002
    ) -> catalog_pb2.GetVideosResponse:
        """Return what lists show of several videos."""
        if len(request.ids) > MAX_IDS:
            raise ApiError(ErrorCode.VALIDATION_FAILED, f"at most {MAX_IDS} ids")

        async def make() -> bytes:
            videos = [_message(video) for video in await self._videos.by_ids(request.ids)]
            return catalog_pb2.GetVideosResponse(videos=videos).SerializeToString()

        kept = await self._answers.for_services(("GetVideos", *request.ids), make)
        return catalog_pb2.GetVideosResponse.FromString(kept)


def register(servicer: CatalogServicer, server: aio.Server) -> None:
    """Add the servicer to a server."""
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(servicer, server)


def _message(video: Video) -> catalog_pb2.Video:
    return catalog_pb2.Video(
        id=video.id,
        title=video.title,
        status=video.status,
        duration_sec=video.duration_sec or 0,
        thumbnail_url=thumbnail_url(video) or "",
        corporation_id=video.corporation_id or "",
        uploader_id=video.uploader_id,
        created_at=timestamp(video.created_at),
        protection=video.protection,
    )
