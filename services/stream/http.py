"""HTTP API of stream: translates, decides nothing."""

from __future__ import annotations

import secrets
import time
from typing import Any

from fastapi import APIRouter, Request, Response

from kit.callers import CurrentCaller, protected_router
from kit.errors import ApiError
from kit.http import errors
from services.stream.domain import Decision, Outcome, Source, decide
from services.stream.files import OpenFile
from services.stream.multipart import frame
from services.stream.schemas import Codecs, Resolution, StreamInfo
from services.stream.sender import FileBody, Part
from services.stream.service import Streams
from services.stream.traffic import Traffic, Transfer
from services.stream.validators import Conditions, Validators

# The browser may keep what it played, for this user alone; before each use it asks, and so is authorised, again.
_CACHE_CONTROL = "private, no-cache, no-transform"
_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file.", "content": {"video/mp4": {}}},
    206: {"description": "The asked ranges.", "content": {"video/mp4": {}, "multipart/byteranges": {}}},
    304: {"description": "The client's copy is current."},
    412: {"description": "The file is not in the state that the request names."},
    **errors("CONTENT_NOT_FOUND", "CONTENT_NOT_READY", "STREAM_RANGE_INVALID", "STREAM_FILE_UNAVAILABLE"),
}


def build_routers(streams: Streams, traffic: Traffic) -> dict[str, APIRouter]:
    """The routes of stream, by tag."""
    router = protected_router()

    async def stream(video_id: str, request: Request, caller: CurrentCaller) -> Response:
        """The bytes of a video's file: whole, or by range (RFC 9110, section 14), with validators for resuming."""
        transfer = traffic.transfer(caller.user_id, video_id)
        try:
            source = await streams.find(video_id, caller)
            return _respond(request, source, await streams.open(source), transfer)
        except ApiError as error:
            transfer.answered(error.entry.http_status)
            raise

    path = "/api/videos/{video_id}/stream"
    router.add_api_route(path, stream, methods=["GET"], response_class=Response, responses=_DOCUMENTED)
    router.add_api_route(path, stream, methods=["HEAD"], response_class=Response, include_in_schema=False)

    @router.get(f"{path}/info", responses=errors("CONTENT_NOT_FOUND", "CONTENT_NOT_READY"))
    async def info(video_id: str, caller: CurrentCaller) -> StreamInfo:
        """What is known of a stream before a byte of it is fetched."""
        source = await streams.find(video_id, caller)
        return StreamInfo(
            content_id=source.video_id,
            duration=source.duration_sec,
            file_size=source.size_bytes,
            mime_type=source.content_type,
            codecs=Codecs(video=source.video_codec, audio=source.audio_codec or None),
            resolution=Resolution(width=source.width, height=source.height),
            bitrate=source.bitrate_bps,
        )

    return {"stream": router}


def _respond(request: Request, source: Source, file: OpenFile, transfer: Transfer) -> Response:
    validators = Validators.of(size=file.size, mtime_ns=file.mtime_ns, version=source.version, now=time.time())
    decision = decide(request.method, _field(request, "Range"), _conditions(request), validators, file.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": _CACHE_CONTROL,
        "ETag": validators.etag,
        "Last-Modified": validators.last_modified,
    }
    if request.method == "GET" and decision.outcome in (Outcome.WHOLE, Outcome.PARTIAL):
        return _body(decision, headers, source, file, transfer)
    file.close()
    match decision.outcome:
        case Outcome.NOT_SATISFIABLE:
            unsatisfied = {"Accept-Ranges": "bytes", "Content-Range": f"bytes */{file.size}"}
            raise ApiError("STREAM_RANGE_INVALID", headers=unsatisfied)
        case Outcome.WHOLE:
            headers |= _description(source.content_type, file.size)
    transfer.answered(decision.outcome.value)
    return Response(status_code=decision.outcome.value, headers=headers)


def _body(decision: Decision, headers: dict[str, str], source: Source, file: OpenFile, transfer: Transfer) -> FileBody:
    if len(decision.ranges) > 1:
        framed = frame(decision.ranges, file.size, source.content_type, secrets.token_hex(16))
        headers |= _description(framed.content_type, framed.length)
        return FileBody(206, _raw(headers), file, framed.parts, tail=framed.tail, meter=transfer)
    parts = [Part(span.first, span.count) for span in decision.ranges]
    headers |= _description(source.content_type, sum(part.count for part in parts))
    if decision.outcome is Outcome.PARTIAL:
        span = decision.ranges[0]
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{file.size}"
    return FileBody(decision.outcome.value, _raw(headers), file, parts, meter=transfer)


def _description(content_type: str, length: int) -> dict[str, str]:
    return {"Content-Type": content_type, "Content-Length": str(length), "Content-Disposition": "inline"}


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _conditions(request: Request) -> Conditions:
    return Conditions(
        if_match=_field(request, "If-Match"),
        if_none_match=_field(request, "If-None-Match"),
        if_modified_since=_field(request, "If-Modified-Since"),
        if_unmodified_since=_field(request, "If-Unmodified-Since"),
        if_range=_field(request, "If-Range"),
    )


def _field(request: Request, name: str) -> str | None:
    """A header's value. Several lines are one list (RFC 9110, 5.3), which makes a field of a single value malformed."""
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None
