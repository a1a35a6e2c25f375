"""The gRPC API of progress, and its client of catalog, over real connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from grpc import aio

from kit.db.database import Database
from kit.errors import ApiError
from kit.ids import new_id
from kit.rpc import GrpcServer, call, connect
from marquee.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from marquee.progress.v1 import progress_pb2
from marquee.progress.v1.progress_pb2_grpc import ProgressServiceStub
from services.progress.clients.catalog import CatalogClient
from services.progress.domain import Began, PlaySession, Video
from services.progress.rpc import ProgressServicer, register
from services.progress.service import Homes, Views


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """A catalog with one video."""

    async def GetSource(  # noqa: N802
        self, request: catalog_pb2.GetSourceRequest, context: aio.ServicerContext[Any, Any]
    ) -> catalog_pb2.GetSourceResponse:
        """Not called by these tests."""
        raise NotImplementedError

    async def GetVideos(  # noqa: N802
        self, request: catalog_pb2.GetVideosRequest, context: aio.ServicerContext[Any, Any]
    ) -> catalog_pb2.GetVideosResponse:
        """The first id that was asked for is the one video."""
        video = catalog_pb2.Video(
            id=request.ids[0],
            title="Heads up",
            status="ready",
            duration_sec=12.5,
            thumbnail_url="/t.jpg",
            corporation_id="c",
        )
        return catalog_pb2.GetVideosResponse(videos=[video])


def add_catalog(server: aio.Server) -> None:
    """Adds the catalog to a server."""
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogServicer(), server)


@pytest.fixture
async def channel(database: Database) -> AsyncIterator[aio.Channel]:
    """A connection to progress and to a catalog."""
    servicer = ProgressServicer(Views(database), Homes(database, least=2))
    server = GrpcServer("progress", "127.0.0.1:0", [partial(register, servicer), add_catalog])
    await server.start()
    async with connect(f"127.0.0.1:{server.port}") as channel:
        yield channel
    await server.stop(0)


async def test_catalog_client_reads_its_answers(channel: aio.Channel) -> None:
    known, unknown = new_id(), new_id()
    assert await CatalogClient(channel).videos([known, unknown]) == {
        known: Video(
            id=known,
            title="Heads up",
            status="ready",
            duration_sec=12.5,
            thumbnail_url="/t.jpg",
            corporation_id="c",
        )
    }


async def test_answers_views_of_several_videos(channel: aio.Channel, database: Database) -> None:
    now, views = datetime.now(UTC), Views(database)
    popular, other = new_id(), new_id()
    async with database.write() as transaction:
        sessions = [PlaySession(new_id(), new_id(), video_id, "nas") for video_id in (popular, other, popular)]
        await views.count(transaction, [Began(session, now) for session in sessions])
    stub = ProgressServiceStub(channel)
    asked = await call(stub.GetViews, progress_pb2.GetViewsRequest(days=1, video_ids=[popular, other, new_id()]))
    assert {each.video_id: each.views for each in asked.videos} == {popular: 2, other: 1}


@pytest.mark.parametrize(("days", "count"), [(0, 1), (8, 1), (1, 101)])
async def test_get_views_refuses_values_out_of_range(channel: aio.Channel, days: int, count: int) -> None:
    request = progress_pb2.GetViewsRequest(days=days, video_ids=[new_id() for _ in range(count)])
    with pytest.raises(ApiError, match="VALIDATION_FAILED"):
        await call(ProgressServiceStub(channel).GetViews, request)
