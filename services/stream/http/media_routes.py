"""HTTP API of stream: translates, decides nothing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from kit.auth.authentication import CurrentCaller, client_address, protected_router
from kit.auth.tokens import Caller
from kit.errors import ApiError
from kit.web.addresses import client_network
from kit.web.schemas import DECIMAL, errors
from services.stream.clients.display_names import NameCache
from services.stream.delivery.disposition import attachment
from services.stream.delivery.file_response import EmptyResponse, FileBody
from services.stream.delivery.representation import Representation
from services.stream.delivery.responses import START_APPLIED, START_IGNORED, answer, fields_of
from services.stream.delivery.transfers import Traffic
from services.stream.http.authentication import ticket_of
from services.stream.http.play_session_routes import STREAM_PATH, refused
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
        "CONTENT_NOT_FOUND",
        "STREAM_SESSION_NOT_FOUND",
        "CONTENT_NOT_READY",
        "STREAM_RANGE_INVALID",
        "STREAM_RATE_LIMITED",
        "STREAM_FILE_UNAVAILABLE",
        "SERVICE_UNAVAILABLE",
    ),
}
Download = Annotated[
    bool, Query(description="Whether to send `Content-Disposition`, so that a client saves it under its title.")
]
_UNKNOWN_TIER = "nas"


class _Sent(Response):
    """An answer that sends itself, as FastAPI wants to have it."""

    def __init__(self, body: FileBody | EmptyResponse) -> None:
        super().__init__(status_code=body.status)
        self._send = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        await self._send(scope, receive, send)


class MediaRoutes:
    """The routes that give bytes, and say what bytes there are.

    Args:
        streams: finds videos and opens their files.
        sessions: who may have bytes.
        traffic: watches the answers.
        titles: of videos, for refusals.
    """

    def __init__(self, streams: Streams, sessions: Sessions, traffic: Traffic, titles: NameCache) -> None:
        self._streams = streams
        self._sessions = sessions
        self._traffic = traffic
        self._titles = titles

    def router(self) -> APIRouter:
        """All of them."""
        router = protected_router()
        router.add_api_route(STREAM_PATH, self.stream, methods=["GET"], response_class=Response, responses=_DOCUMENTED)
        router.add_api_route(
            STREAM_PATH, self.stream, methods=["HEAD"], response_class=Response, include_in_schema=False
        )
        known = errors("CONTENT_NOT_FOUND", "STREAM_SESSION_NOT_FOUND", "CONTENT_NOT_READY", "SERVICE_UNAVAILABLE")
        router.add_api_route(f"{STREAM_PATH}/info", self.info, methods=["GET"], responses=known)
        return router

    async def stream(
        self,
        video_id: str,
        request: Request,
        caller: CurrentCaller,
        start: Start = None,
        download: Download = False,  # noqa: FBT002 - a query parameter
        ticket: TicketText = None,  # noqa: ARG002 - for the documentation: `StreamAuthenticator` has looked at it
    ) -> Response:
        """The bytes of a video's file: whole, or by range (RFC 9110, section 14), with validators for resuming.

        With `start` it is a file of its own, with an entity tag and ranges of its own, that begins at the key frame at
        or before that time; `start=0` is the whole film with its index first, so that it plays from its first bytes.

        With `start`, `Start-Applied` says whether the answer begins there: `false` where the file can't be begun
        elsewhere and is sent from its beginning.

        Bytes belong to a play session: the one that the ticket names or, without a ticket, one that begins by itself
        and is the same for all connections of a client. HEAD begins none.
        """
        playing: LocalSession | None = None
        try:
            source = await self._streams.find(video_id, caller)
            if given := ticket_of(request, source):
                playing = await self._sessions.join(given)
            try:
                shown, starts_as_asked = await self._streams.open(source, start)
            except ApiError as error:
                if error.code == "STREAM_FILE_UNAVAILABLE":
                    await self._tell(error, playing, caller, video_id, request)
                raise
            if request.method != "HEAD" and playing is None:
                playing = await self._begin(request, caller, shown)
        except ApiError as error:
            self._traffic.transfer(caller.user_id, video_id, playing=playing).answered(error.entry.http_status)
            raise
        transfer = self._traffic.transfer(caller.user_id, video_id, playing=playing)
        headers = [] if start is None else [START_APPLIED if starts_as_asked else START_IGNORED]
        saved_as = None
        if download:
            title = (await self._titles.of([video_id])).get(video_id, "")
            saved_as = attachment(title, shown.source.content_type, video_id)
        try:
            fields = fields_of(request.headers.raw)
            return _Sent(answer(request.method, fields, shown, transfer, headers=headers, saved_as=saved_as))
        except ApiError as error:
            transfer.answered(error.entry.http_status)
            raise

    async def info(self, video_id: str, request: Request, caller: CurrentCaller) -> StreamInfo:
        """What is known of a stream before a byte of it is fetched."""
        source = await self._streams.find(video_id, caller)
        if given := ticket_of(request, source):
            await self._sessions.join(given)
        path = STREAM_PATH.format(video_id=source.video_id)
        tier = await self._streams.tier(source)
        return StreamInfo(
            stream_url=f"{path}?start=0" if await self._streams.plays_sooner_rearranged(source) else path,
            content_id=source.video_id,
            duration=source.duration_sec,
            file_size=source.size_bytes,
            mime_type=source.content_type,
            codecs=Codecs(video=source.video_codec, audio=source.audio_codec or None),
            resolution=Resolution(width=source.width, height=source.height),
            bitrate=source.bitrate_bps,
            source=tier,
            cache_hit=tier == "ssd",
        )

    async def _begin(self, request: Request, caller: Caller, shown: Representation) -> LocalSession:
        watched = WatchTarget(shown.source.video_id, shown.file.tier)
        agent = request.headers.get("User-Agent", "").encode("latin-1")
        try:
            return await self._sessions.implicit(caller, watched, client_network(client_address(request)), agent)
        except StreamLimitError as refusal:
            raise await refused(refusal, self._titles) from refusal

    async def _tell(
        self, error: ApiError, playing: LocalSession | None, caller: Caller, video_id: str, request: Request
    ) -> None:
        if playing is not None:
            self._sessions.fail(playing, error.code, str(error))
        elif request.method != "HEAD":
            agent = request.headers.get("User-Agent", "")
            await self._sessions.never_began(caller, WatchTarget(video_id, _UNKNOWN_TIER), agent, error)
