"""Stands in for catalog: answers the one question that the stream service asks it, from a file.

The real one would answer the same question as rarely (the stream service keeps the answer for a minute), but takes no
random bytes for a film and knows nothing of a file on a slow disk.

python -m loadtest.bench.peers.catalog FACTS.json
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


class Facts(BaseModel):
    """What the stand-in knows."""

    bind: str
    sources: dict[str, tuple[str, int]]
    """Reference and size in bytes, by video id."""


class _Catalog(catalog_pb2_grpc.CatalogServiceServicer):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

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


async def _serve(facts: Facts) -> None:
    catalog = _Catalog(facts)
    server = GrpcServer(
        "catalog", facts.bind, [lambda grpc: catalog_pb2_grpc.add_CatalogServiceServicer_to_server(catalog, grpc)]
    )
    await server.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(_serve(Facts.model_validate_json(Path(sys.argv[1]).read_text())))
