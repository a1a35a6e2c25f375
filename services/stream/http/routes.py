"""HTTP API of stream: translates, decides nothing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from kit.callers import CurrentCaller, protected_router
from kit.errors import ApiError
from kit.http import errors
from services.stream.http.answers import answer, fields_of
from services.stream.schemas import Codecs, Resolution, StreamInfo
from services.stream.sender import Bodiless, FileBody
from services.stream.service import Streams
from services.stream.traffic import Traffic

STREAM_PATH = "/api/videos/{video_id}/stream"
Start = Annotated[
    float | None,
    Query(ge=0, allow_inf_nan=False, description="Seconds. The film begins at the key frame at or before this time."),
]
_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file.", "content": {"video/mp4": {}}},
    206: {"description": "The asked ranges.", "content": {"video/mp4": {}, "multipart/byteranges": {}}},
    304: {"description": "The client's copy is current."},
    412: {"description": "The file is not in the state that the request names."},
    **errors("CONTENT_NOT_FOUND", "CONTENT_NOT_READY", "STREAM_RANGE_INVALID", "STREAM_FILE_UNAVAILABLE"),
}


class _Sent(Response):
    """An answer that sends itself, as FastAPI wants to have it."""

    def __init__(self, body: FileBody | Bodiless) -> None:
        super().__init__(status_code=body.status)
        self._send = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        await self._send(scope, receive, send)


def build_routers(streams: Streams, traffic: Traffic) -> dict[str, APIRouter]:
    """The routes of stream, by tag."""
    router = protected_router()

    async def stream(video_id: str, request: Request, caller: CurrentCaller, start: Start = None) -> Response:
        """The bytes of a video's file: whole, or by range (RFC 9110, section 14), with validators for resuming.

        With `start` it is a file of its own, with an entity tag and ranges of its own, that begins at the key frame at
        or before that time; `start=0` is the whole film with its index first, so that it plays from its first bytes.
        """
        transfer = traffic.transfer(caller.user_id, video_id)
        try:
            shown = await streams.open(await streams.find(video_id, caller), start)
            return _Sent(answer(request.method, fields_of(request.headers.raw), shown, transfer))
        except ApiError as error:
            transfer.answered(error.entry.http_status)
            raise

    router.add_api_route(STREAM_PATH, stream, methods=["GET"], response_class=Response, responses=_DOCUMENTED)
    router.add_api_route(STREAM_PATH, stream, methods=["HEAD"], response_class=Response, include_in_schema=False)

    @router.get(f"{STREAM_PATH}/info", responses=errors("CONTENT_NOT_FOUND", "CONTENT_NOT_READY"))
    async def info(video_id: str, caller: CurrentCaller) -> StreamInfo:
        """What is known of a stream before a byte of it is fetched."""
        source = await streams.find(video_id, caller)
        path = STREAM_PATH.format(video_id=source.video_id)
        return StreamInfo(
            stream_url=f"{path}?start=0" if await streams.plays_sooner_rearranged(source) else path,
            content_id=source.video_id,
            duration=source.duration_sec,
            file_size=source.size_bytes,
            mime_type=source.content_type,
            codecs=Codecs(video=source.video_codec, audio=source.audio_codec or None),
            resolution=Resolution(width=source.width, height=source.height),
            bitrate=source.bitrate_bps,
        )

    return {"stream": router}
