"""Stand in for catalog: answer the only call that the stream service makes, from a file.

The real catalog would get the same call as rarely (the stream service caches the answer for a minute), but accepts no
random bytes as a film and has no file on a slow disk.

python -m loadtest.bench.peers.catalog SOURCES.json
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

from grpc import aio
from pydantic import BaseModel

from kit.errors import ApiError, ErrorCode
from kit.rpc import GrpcServer
from marquee.catalog.v1 import catalog_pb2, catalog_pb2_grpc

Context = aio.ServicerContext[Any, Any]


class CatalogData(BaseModel):
    """The videos of the stand-in, and its address."""

    bind: str
    sources: dict[str, tuple[str, int]]
    """Reference and size in bytes, by video id."""


class _Catalog(catalog_pb2_grpc.CatalogServiceServicer):
    def __init__(self, data: CatalogData) -> None:
        self._facts = data

    async def GetSource(  # noqa: N802 - the contract's name
        self, request: catalog_pb2.GetSourceRequest, context: Context
    ) -> catalog_pb2.GetSourceResponse:
        del context
        if request.video_id not in self._facts.sources:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        reference, size = self._facts.sources[request.video_id]
        return catalog_pb2.GetSourceResponse(
            video_id=request.video_id,
            reference=reference,
            size_bytes=size,
            mime_type="video/mp4",
            duration_sec=7200,
            video_codec="h264",
            audio_codec="aac",
            width=1280,
            height=720,
            bitrate_bps=2_000_000,
            version=1,
        )

    async def GetVideos(  # noqa: N802 - the contract's name
        self, request: catalog_pb2.GetVideosRequest, context: Context
    ) -> catalog_pb2.GetVideosResponse:
        del request, context
        return catalog_pb2.GetVideosResponse()


async def _serve(data: CatalogData) -> None:
    catalog = _Catalog(data)
    server = GrpcServer(
        "catalog", data.bind, [lambda grpc: catalog_pb2_grpc.add_CatalogServiceServicer_to_server(catalog, grpc)]
    )
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(_serve(CatalogData.model_validate_json(Path(sys.argv[1]).read_text())))
