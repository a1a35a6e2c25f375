"""Routes of artwork: thumbnail, posters, storyboard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from kit.auth.authentication import CurrentCaller, protected_router
from kit.errors import ApiError, ErrorCode
from kit.web.schemas import errors
from services.catalog.artwork import matches_etag, preferred_format
from services.catalog.service import ArtworkReader, Picture

_ATTEMPTS = 2
"""A picture that is replaced between finding and reading it is found again."""

Version = Annotated[
    str | None,
    Query(alias="v", max_length=20, description="The version in the URLs of lists: the answer is good for a year."),
]
Width = Annotated[
    int | None, Query(ge=1, le=16_384, description="In pixels; the next larger poster is sent. 320 by default.")
]
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The caller has it already."}}
_ERRORS = errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CONTENT_DELETED, ErrorCode.STREAM_FILE_UNAVAILABLE)
_PICTURES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}, "image/webp": {}}, "description": "WebP for callers that accept it, or JPEG."},
    **_NOT_MODIFIED,
    **_ERRORS,
}
_SHEETS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "Small pictures, 10 a row."},
    **_NOT_MODIFIED,
    **_ERRORS,
}
_CUES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/vtt": {}}, "description": "A cue for each picture: `URL#xywh=x,y,w,h`."},
    **_NOT_MODIFIED,
    **_ERRORS,
}


def build_router(artwork: ArtworkReader) -> APIRouter:
    """Return the routes."""
    router = protected_router()

    @router.get("/api/videos/{video_id}/thumbnail", response_class=Response, responses=_PICTURES)
    @router.get("/api/videos/{video_id}/poster", response_class=Response, responses=_PICTURES)
    async def get_picture(
        video_id: str, request: Request, caller: CurrentCaller, width: Width = None, version: Version = None
    ) -> Response:
        """Return the picture of a video, in the format that the caller accepts."""
        wanted = preferred_format(request.headers.get("Accept", ""))
        return await _answer(
            request, lambda: artwork.picture(video_id, caller, width, wanted), artwork, video_id, version, chosen=True
        )

    @router.get("/api/videos/{video_id}/storyboard.vtt", response_class=Response, responses=_CUES)
    async def get_storyboard(
        video_id: str, request: Request, caller: CurrentCaller, version: Version = None
    ) -> Response:
        """Return the cues of a video's storyboard as WebVTT: which picture shows which part of the film."""
        row, storyboard = await artwork.storyboard(video_id, caller)
        headers = _headers(f'"{row.id}-{row.version}-vtt"', row.version, version, chosen=False)
        if matches_etag(request.headers.get("If-None-Match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        cues = storyboard.webvtt(f"/api/videos/{video_id}/storyboard", f"?v={row.version}")
        return Response(cues, media_type="text/vtt", headers=headers)

    @router.get("/api/videos/{video_id}/storyboard/{number}.jpg", response_class=Response, responses=_SHEETS)
    async def get_sheet(
        video_id: str,
        number: Annotated[int, Path(ge=0, le=1_000_000)],
        request: Request,
        caller: CurrentCaller,
        version: Version = None,
    ) -> Response:
        """Return a sheet of a video's storyboard."""
        return await _answer(
            request, lambda: artwork.sheet(video_id, caller, number), artwork, video_id, version, chosen=False
        )

    return router


async def _answer(
    request: Request,
    find: Callable[[], Awaitable[Picture]],
    artwork: ArtworkReader,
    video_id: str,
    version: str | None,
    *,
    chosen: bool,
) -> Response:
    for _ in range(_ATTEMPTS):
        picture = await find()
        headers = _headers(picture.etag, picture.version, version, chosen=chosen)
        if matches_etag(request.headers.get("If-None-Match", ""), picture.etag):
            return Response(status_code=304, headers=headers)
        if (content := await artwork.read(video_id, picture)) is not None:
            return Response(content, media_type=picture.format.value, headers=headers)
    raise ApiError(ErrorCode.STREAM_FILE_UNAVAILABLE)


def _headers(etag: str, current: int, asked: str | None, *, chosen: bool) -> dict[str, str]:
    """Return the headers for caches.

    What is asked for by its version never changes. Otherwise a cache asks each time, which costs no picture, as the
    next user of this browser may not see it. No shared cache keeps either.

    Args:
        etag: the entity tag.
        current: the version as it is.
        asked: the version in the URL.
        chosen: the format was chosen by the header `Accept`.
    """
    is_fixed = asked == str(current)
    vary = (["Accept"] if chosen else []) + ([] if is_fixed else ["Authorization", "Cookie"])
    headers = {
        "ETag": etag,
        "Cache-Control": "private, max-age=31536000, immutable" if is_fixed else "private, no-cache",
    }
    return headers | ({"Vary": ", ".join(vary)} if vary else {})
