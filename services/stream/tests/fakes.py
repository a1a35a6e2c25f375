"""Stand-ins for the services that stream asks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from grpc import aio

from kit.errors import ApiError, ErrorCode
from kit.rpc import timestamp
from marquee.auth.v1 import auth_pb2, auth_pb2_grpc
from marquee.catalog.v1 import catalog_pb2, catalog_pb2_grpc


class FakeCatalog(catalog_pb2_grpc.CatalogServiceServicer):
    """A catalog that is a dictionary."""

    def __init__(self) -> None:
        self.sources: dict[str, catalog_pb2.GetSourceResponse] = {}
        self.titles: dict[str, str] = {}
        self.not_ready: set[str] = set()
        self.asked: list[str] = []

    def register(self, server: aio.Server) -> None:
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(self, server)

    async def GetSource(  # noqa: N802
        self, request: catalog_pb2.GetSourceRequest, context: aio.ServicerContext[Any, Any]
    ) -> catalog_pb2.GetSourceResponse:
        del context
        self.asked.append(request.video_id)
        if request.video_id in self.not_ready:
            raise ApiError(ErrorCode.CONTENT_NOT_READY)
        if request.video_id not in self.sources:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return self.sources[request.video_id]

    async def GetVideos(  # noqa: N802
        self, request: catalog_pb2.GetVideosRequest, context: aio.ServicerContext[Any, Any]
    ) -> catalog_pb2.GetVideosResponse:
        del context
        known = [each for each in request.ids if each in self.sources]
        return catalog_pb2.GetVideosResponse(
            videos=[catalog_pb2.Video(id=each, title=self.titles.get(each, "A film")) for each in known]
        )


class FakeAuth(auth_pb2_grpc.AuthServiceServicer):
    """An auth that knows all names, and revokes what a test says."""

    def __init__(self) -> None:
        self.ended_logins: list[str] = []
        self.asked = 0

    def register(self, server: aio.Server) -> None:
        auth_pb2_grpc.add_AuthServiceServicer_to_server(self, server)

    async def GetUsers(  # noqa: N802
        self, request: auth_pb2.GetUsersRequest, context: aio.ServicerContext[Any, Any]
    ) -> auth_pb2.GetUsersResponse:
        del context
        users = [auth_pb2.User(id=each, display_name=each.title()) for each in request.ids]
        return auth_pb2.GetUsersResponse(users=users)

    async def GetJwks(  # noqa: N802
        self, request: auth_pb2.GetJwksRequest, context: aio.ServicerContext[Any, Any]
    ) -> auth_pb2.GetJwksResponse:
        raise NotImplementedError

    async def VerifyBasic(  # noqa: N802
        self, request: auth_pb2.VerifyBasicRequest, context: aio.ServicerContext[Any, Any]
    ) -> auth_pb2.VerifyBasicResponse:
        raise NotImplementedError

    async def GetCorporations(  # noqa: N802
        self, request: auth_pb2.GetCorporationsRequest, context: aio.ServicerContext[Any, Any]
    ) -> auth_pb2.GetCorporationsResponse:
        raise NotImplementedError

    async def ListRevocations(  # noqa: N802
        self, request: auth_pb2.ListRevocationsRequest, context: aio.ServicerContext[Any, Any]
    ) -> auth_pb2.ListRevocationsResponse:
        del request, context
        return auth_pb2.ListRevocationsResponse(session_ids=self.ended_logins, as_of=timestamp(datetime.now(UTC)))
