"""Routes of resumable uploads: tus 1.0.0 (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.auth.authentication import CurrentCaller, protected_router
from kit.auth.tokens import Caller
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.web.schemas import errors
from services.catalog.domain import UploadStatus, may_upload
from services.catalog.http import tus_headers
from services.catalog.http.upload_labels import parse_labels
from services.catalog.models import ResumableUpload
from services.catalog.schemas import UploadView
from services.catalog.service import Chunk, NewUpload, ResumableUploads, UploadCutError
from services.catalog.service.arrival import duplicate_error

PATHS: Final = re.compile(r"/api/uploads(/[^/]*)?")
_OVERRIDE: Final = b"x-http-method-override"
_METHODS: Final = frozenset({"GET", "HEAD", "PATCH", "DELETE", "OPTIONS", "POST"})
_BODY: Final[dict[str, Any]] = {
    "requestBody": {"content": {tus_headers.CHUNK_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}
_REFUSALS: Final = errors(
    ErrorCode.CONTENT_NOT_FOUND,
    ErrorCode.UPLOAD_CONFLICT,
    ErrorCode.UPLOAD_VERSION_UNSUPPORTED,
    ErrorCode.UPLOAD_INVALID_MEDIA,
    ErrorCode.UPLOAD_TOO_LARGE,
    ErrorCode.UPLOAD_QUOTA_EXCEEDED,
    ErrorCode.UPLOAD_TYPE_UNSUPPORTED,
    ErrorCode.UPLOAD_LOCKED,
    ErrorCode.UPLOAD_CHECKSUM_MISMATCH,
    ErrorCode.STORAGE_FULL,
    ErrorCode.STREAM_FILE_UNAVAILABLE,
)


class TusProtocol:
    """Middleware: heeds `X-HTTP-Method-Override`, and sends `Tus-Resumable` with every response, errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not PATHS.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        override = next((value for name, value in scope["headers"] if name == _OVERRIDE), b"").decode("latin-1").upper()
        if override in _METHODS:
            scope = {**scope, "method": override}

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Tus-Resumable"] = tus_headers.VERSION
            await send(message)

        await self._app(scope, receive, send_with_version)


def build_router(uploads: ResumableUploads, who_uploads: Literal["admin", "members"]) -> APIRouter:
    """Return the routes.

    Args:
        uploads: the use cases.
        who_uploads: see `domain.may_upload`.
    """
    router = protected_router()

    @router.options("/api/uploads", status_code=204, response_class=Response)
    async def upload_options() -> Response:
        """Say which version and extensions of tus are spoken, and how large a file may be."""
        headers = {
            "Tus-Version": tus_headers.VERSION,
            "Tus-Extension": tus_headers.EXTENSIONS,
            "Tus-Max-Size": str(uploads.max_bytes),
            "Tus-Checksum-Algorithm": ",".join(tus_headers.ALGORITHMS),
        }
        return Response(status_code=204, headers=headers)

    @router.post("/api/uploads", status_code=201, response_class=Response, openapi_extra=_BODY, responses=_REFUSALS)
    async def create_upload(request: Request, caller: CurrentCaller) -> Response:
        """Begin a resumable upload: `Upload-Length` or `Upload-Defer-Length: 1`, and `Upload-Metadata`.

        Metadata: `filename`, `filetype`, `title`, `description`, `tags` (separated by commas), `corporation_id`,
        `protection`. A body of the type `application/offset+octet-stream` is the first part of the file.
        """
        _check(request, caller, who_uploads)
        upload = await _create(uploads, request, caller)
        return Response(status_code=201, headers={"Location": f"/api/uploads/{upload.id}"} | _state(upload))

    @router.head("/api/uploads/{upload_id}", response_class=Response, responses=_REFUSALS)
    async def get_upload_offset(upload_id: str, request: Request, caller: CurrentCaller) -> Response:
        """Return the offset that has arrived, in `Upload-Offset`."""
        tus_headers.check_version(request.headers)
        upload = await uploads.get(upload_id, caller)
        if upload.status == UploadStatus.REFUSED:
            refusal = duplicate_error(upload.duplicate_of)
            refusal.headers["Marquee-Duplicate-Of"] = upload.duplicate_of or ""
            raise refusal
        return Response(status_code=200, headers=_description(upload) | _state(upload))

    @router.patch(
        "/api/uploads/{upload_id}", status_code=204, response_class=Response, openapi_extra=_BODY, responses=_REFUSALS
    )
    async def append_to_upload(upload_id: str, request: Request, caller: CurrentCaller) -> Response:
        """Send bytes from `Upload-Offset` on. The response to the last byte names the video: `Marquee-Video-Id`."""
        _check(request, caller, who_uploads)
        if not tus_headers.is_chunk(request.headers):
            raise ApiError(ErrorCode.UPLOAD_TYPE_UNSUPPORTED, details={"expected": tus_headers.CHUNK_TYPE})
        offset = tus_headers.read_number(request.headers, "Upload-Offset")
        if offset is None:
            raise invalid_field("Upload-Offset", "is missing")
        upload = await uploads.append(upload_id, caller, _chunk(request.headers, offset), _body(request))
        return Response(status_code=204, headers=_state(upload))

    @router.delete("/api/uploads/{upload_id}", status_code=204, response_class=Response, responses=_REFUSALS)
    async def terminate_upload(upload_id: str, request: Request, caller: CurrentCaller) -> Response:
        """Give an upload up: its bytes are removed. The video of a finished one stays."""
        tus_headers.check_version(request.headers)
        await uploads.terminate(upload_id, caller)
        return Response(status_code=204)

    @router.get("/api/uploads/{upload_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def get_upload(upload_id: str, caller: CurrentCaller) -> UploadView:
        """Return the state of an upload of the caller, with its video once that exists."""
        return UploadView.of(await uploads.get(upload_id, caller))

    return router


def _check(request: Request, caller: Caller, who_uploads: Literal["admin", "members"]) -> None:
    if not may_upload(caller, who_uploads):
        raise ApiError(ErrorCode.AUTH_FORBIDDEN)
    tus_headers.check_version(request.headers)


async def _create(uploads: ResumableUploads, request: Request, caller: Caller) -> ResumableUpload:
    headers = request.headers
    if "Upload-Concat" in headers:
        raise invalid_field("Upload-Concat", "concatenation is not supported")
    length = tus_headers.read_new_length(headers)
    metadata = tus_headers.read_metadata(headers)
    tus_headers.check_type(metadata)
    labels = parse_labels(metadata, metadata.get("filename", ""))
    chunk = _chunk(headers, 0) if tus_headers.is_chunk(headers) else None
    if length is not None and chunk and (chunk.size or 0) > length:
        raise ApiError(ErrorCode.UPLOAD_TOO_LARGE, details={"limit_bytes": length})
    new = NewUpload(length, **asdict(labels), client_metadata=headers.get("Upload-Metadata", ""))
    upload = await uploads.create(new, caller)
    if chunk is None or chunk.size == 0:
        return upload
    try:
        return await uploads.append(upload.id, caller, chunk, _body(request))
    except ApiError as error:
        if error.code is not ErrorCode.UPLOAD_CONFLICT:
            # The client does not learn the address: nothing may stay.
            await _discard(uploads, upload, caller)
        raise


def _chunk(headers: Headers, offset: int) -> Chunk:
    return Chunk(
        offset,
        length=tus_headers.read_number(headers, "Upload-Length"),
        size=tus_headers.read_number(headers, "Content-Length"),
        checksum=tus_headers.read_checksum(headers),
    )


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for block in request.stream():
            if block:
                yield block
    except ClientDisconnect as error:
        raise UploadCutError from error


def _description(upload: ResumableUpload) -> dict[str, str]:
    headers = {"Upload-Metadata": upload.client_metadata} if upload.client_metadata else {}
    if upload.length_bytes is None:
        return {"Upload-Defer-Length": "1"} | headers
    return {"Upload-Length": str(upload.length_bytes)} | headers


def _state(upload: ResumableUpload) -> dict[str, str]:
    headers = {"Upload-Offset": str(upload.received_bytes), "Upload-Expires": tus_headers.expires(upload.expires_at)}
    if upload.status == UploadStatus.FINISHED:
        headers["Marquee-Video-Id"] = upload.video_id
        if upload.duplicate_of:
            headers["Marquee-Duplicate-Of"] = upload.duplicate_of
    return headers


async def _discard(uploads: ResumableUploads, upload: ResumableUpload, caller: Caller) -> None:
    try:
        await uploads.terminate(upload.id, caller)
    except ApiError as error:
        if error.code is not ErrorCode.CONTENT_NOT_FOUND:
            raise
