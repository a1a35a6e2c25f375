"""HTTP routes of a video's bytes and of their description: translate, decide nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from kit.auth.authentication import CurrentCaller, client_address, protected_router
from kit.auth.tokens import Caller
from kit.errors import ApiError, ErrorCode
from kit.web.addresses import client_network
from kit.web.schemas import DECIMAL, errors
from services.stream.clients.display_names import NameCache
from services.stream.delivery.disposition import attachment
from services.stream.delivery.file_response import EmptyResponse, FileBody
from services.stream.delivery.representation import Representation
from services.stream.delivery.responses import AuthorizedRequest, ResponseAssembler, fields_of
from services.stream.delivery.transfers import Traffic
from services.stream.domain import AssetKind, Source
from services.stream.http.authentication import ticket_of
from services.stream.http.play_session_routes import LSV_PATH, STREAM_PATH, UNKNOWN_TIER, limit_error, path_of
from services.stream.schemas import Codecs, Resolution, StreamInfo
from services.stream.service import Streams
from services.stream.sessions import LocalSession, Sessions, StreamLimitError, WatchTarget

Start = Annotated[
    float | None,
    DECIMAL,
    Query(ge=0, allow_inf_nan=False, description="Seconds. The film begins at the key frame at or before this time."),
]
TicketText = Annotated[
    str | None, Query(alias="ticket", description="Of a play session, instead of a login; without, one is begun.")
]
_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file.", "content": {"video/mp4": {}}},
    206: {"description": "The asked ranges.", "content": {"video/mp4": {}, "multipart/byteranges": {}}},
    304: {"description": "The client's copy is current."},
    412: {"description": "The file is not in the state that the request names."},
    **errors(
        ErrorCode.CONTENT_NOT_FOUND,
        ErrorCode.STREAM_SESSION_NOT_FOUND,
        ErrorCode.CONTENT_NOT_READY,
        ErrorCode.STREAM_RANGE_INVALID,
        ErrorCode.STREAM_RATE_LIMITED,
        ErrorCode.STREAM_FILE_UNAVAILABLE,
        ErrorCode.SERVICE_UNAVAILABLE,
    ),
}
_PACK_DOCUMENTED: dict[int | str, dict[str, Any]] = _DOCUMENTED | {
    200: {"description": "The whole pack.", "content": {"application/octet-stream": {}}},
    206: {
        "description": "The asked ranges.",
        "content": {"application/octet-stream": {}, "multipart/byteranges": {}},
    },
}
Find = Callable[[str, Caller], Awaitable[Source]]
Download = Annotated[
    bool, Query(description="Whether to send `Content-Disposition`, so that a client saves it under its title.")
]


class _SelfSending(Response):
    """A response that sends itself, as FastAPI needs it."""

    def __init__(self, body: FileBody | EmptyResponse) -> None:
        super().__init__(status_code=body.status)
        self._send = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        await self._send(scope, receive, send)


class MediaRoutes:
    """The routes of a video's bytes, and of their description.

    Args:
        streams: finds videos and opens their files.
        sessions: the use cases of play sessions.
        traffic: counts the responses.
        titles: of videos, for refusals.
    """

    def __init__(self, streams: Streams, sessions: Sessions, traffic: Traffic, titles: NameCache) -> None:
        self._streams = streams
        self._sessions = sessions
        self._traffic = traffic
        self._assembler = ResponseAssembler(traffic)
        self._titles = titles

    def router(self) -> APIRouter:
        """Return all of them."""
        router = protected_router()
        protected = errors(ErrorCode.CONTENT_PROTECTED)
        router.add_api_route(
            STREAM_PATH,
            self.stream,
            methods=["GET"],
            response_class=Response,
            responses=_DOCUMENTED | protected,
        )
        router.add_api_route(
            STREAM_PATH, self.stream, methods=["HEAD"], response_class=Response, include_in_schema=False
        )
        router.add_api_route(LSV_PATH, self.pack, methods=["GET"], response_class=Response, responses=_PACK_DOCUMENTED)
        router.add_api_route(LSV_PATH, self.pack, methods=["HEAD"], response_class=Response, include_in_schema=False)
        refusals = errors(
            ErrorCode.CONTENT_NOT_FOUND,
            ErrorCode.STREAM_SESSION_NOT_FOUND,
            ErrorCode.CONTENT_NOT_READY,
            ErrorCode.SERVICE_UNAVAILABLE,
        )
        router.add_api_route(f"{STREAM_PATH}/info", self.info, methods=["GET"], responses=refusals)
        return router

    async def stream(
        self,
        video_id: str,
        request: Request,
        caller: CurrentCaller,
        start: Start = None,
        download: Download = False,  # noqa: FBT002 - a query parameter
        ticket: TicketText = None,  # noqa: ARG002 - for the documentation: `StreamAuthenticator` reads it
    ) -> Response:
        """Send the bytes of a video's file: whole, or by range (RFC 9110, section 14), with validators for resuming.

        With `start` it is a file of its own, with an entity tag and ranges of its own, that begins at the key frame at
        or before that time; `start=0` is the whole film with its index first, so that it plays from its first bytes.

        With `start`, `Start-Applied` says whether the response begins there: `false` where the file can't begin
        elsewhere and is sent from its beginning.

        Bytes belong to a play session: the one that the ticket names or, without a ticket, one that begins by itself
        and is the same for all connections of a client. HEAD begins none.

        A protected film has other bytes: those of `/lsv`.
        """
        return await self._respond(self._streams.find_plain, video_id, request, caller, start, download=download)

    async def pack(
        self,
        video_id: str,
        request: Request,
        caller: CurrentCaller,
        ticket: TicketText = None,  # noqa: ARG002 - as in `stream`
    ) -> Response:
        """Send the bytes of a protected film, encrypted: its LSV pack, whole or by range, as `/stream` does.

        What opens it comes with a play session, or a licence.
        """
        return await self._respond(self._streams.find_protected, video_id, request, caller)

    async def _respond(
        self,
        find: Find,
        video_id: str,
        request: Request,
        caller: Caller,
        start: float | None = None,
        *,
        download: bool = False,
    ) -> Response:
        local_session: LocalSession | None = None
        try:
            source = await find(video_id, caller)
            if given := ticket_of(request, source):
                local_session = await self._sessions.join(given)
            try:
                representation, is_start_applied = await self._streams.open(source, start)
            except ApiError as error:
                if error.code == ErrorCode.STREAM_FILE_UNAVAILABLE:
                    await self._report_failure(error, local_session, caller, video_id, request)
                raise
            if request.method != "HEAD" and local_session is None:
                local_session = await self._start_implicit(request, caller, representation)
            saved_as = None
            if download:
                title = (await self._titles.of([video_id])).get(video_id, "")
                saved_as = attachment(title, representation.source.content_type, video_id)
            authorized = AuthorizedRequest(
                caller, representation, local_session, None if start is None else is_start_applied
            )
            fields = fields_of(request.headers.raw)
            return _SelfSending(self._assembler.assemble(authorized, request.method, fields, saved_as=saved_as))
        except ApiError as error:
            transfer = self._traffic.transfer(caller.user_id, video_id, local_session=local_session)
            transfer.end_without_body(error.code.http_status, error)
            raise

    async def info(self, video_id: str, request: Request, caller: CurrentCaller) -> StreamInfo:
        """Describe a stream before a byte of it is fetched."""
        source = await self._streams.find(video_id, caller)
        if given := ticket_of(request, source):
            await self._sessions.join(given)
        path = path_of(source)
        tier = await self._streams.tier(source)
        return StreamInfo(
            stream_url=f"{path}?start=0" if await self._streams.is_index_last(source) else path,
            content_id=source.video_id,
            duration=source.duration_sec,
            file_size=source.size_bytes,
            mime_type=source.content_type,
            protection=AssetKind.LSV.value if source.is_protected else None,
            codecs=Codecs(video=source.video_codec, audio=source.audio_codec or None),
            resolution=Resolution(width=source.width, height=source.height),
            bitrate=source.bitrate_bps,
            source=tier,
            cache_hit=tier == "ssd",
        )

    async def _start_implicit(self, request: Request, caller: Caller, representation: Representation) -> LocalSession:
        target = WatchTarget(representation.source.video_id, representation.file.tier)
        agent = request.headers.get("User-Agent", "").encode("latin-1")
        try:
            network = client_network(client_address(request))
            return await self._sessions.get_or_start_implicit(caller, target, network, agent)
        except StreamLimitError as error:
            raise await limit_error(error, self._titles) from error

    async def _report_failure(
        self, error: ApiError, local_session: LocalSession | None, caller: Caller, video_id: str, request: Request
    ) -> None:
        if local_session is not None:
            self._sessions.fail(local_session, error.code, str(error))
        elif request.method != "HEAD":
            agent = request.headers.get("User-Agent", "")
            await self._sessions.report_failed_start(caller, WatchTarget(video_id, UNKNOWN_TIER), agent, error)
