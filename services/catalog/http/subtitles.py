"""Routes of subtitles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from kit.auth.authentication import ClientAddress, CurrentCaller, protected_router
from kit.errors import ErrorCode, invalid_field
from kit.web.schemas import View, errors
from services.catalog.captions import Track, parse_track
from services.catalog.captions.encoding import CERTAIN
from services.catalog.domain import MAX_TITLE_CHARS, clean_text
from services.catalog.models import Subtitle
from services.catalog.service.subtitles import NewSubtitles, Subtitles

_SAMPLE_LINES = 6
_TYPES = ("text/vtt", "application/x-subrip", "text/x-ssa")
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {type_: {"schema": {"type": "string", "format": "binary"}} for type_ in _TYPES},
    }
}


class SubtitleView(View):
    """One track of subtitles."""

    track: str = Field(description="Its name in addresses: the language, with `.forced` and `.sdh` behind it.")
    language: str = Field(description="BCP 47; `und` when it is not known.")
    title: str = Field(description="What a menu shows; empty for the name of the language.")
    source: Literal["embedded", "sidecar", "uploaded"]
    forced: bool
    sdh: bool
    encoding: str = Field(description="Of the file that it was made from.")
    encoding_confidence: float = Field(description="0 to 1.")
    needs_confirmation: bool = Field(
        description="Whether a person should look at the text, and send the file again with `encoding` if it is wrong."
    )
    cues: int
    created_at: datetime
    url: str = Field(description="Of the WebVTT; it changes with the content.")

    @classmethod
    def of(cls, subtitle: Subtitle) -> SubtitleView:
        """Return a track as the API shows it."""
        return cls.model_validate(_fields(subtitle))


class StoredSubtitleView(SubtitleView):
    """A track that was just taken in."""

    format: str = Field(description="What the file was: `webvtt`, `srt` or `ass`.")
    sample: list[str] = Field(description="The first lines as they were read, to see whether the encoding is right.")


class SubtitleList(View):
    """The tracks of a video."""

    items: list[SubtitleView]


def build_router(subtitles: Subtitles) -> APIRouter:
    """Return the routes."""
    router = protected_router()
    path = "/api/videos/{video_id}/subtitles"

    @router.get(path, responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def list_subtitles(video_id: str, caller: CurrentCaller) -> SubtitleList:
        """List the subtitles of a video."""
        return SubtitleList(items=[SubtitleView.of(each) for each in await subtitles.list(video_id, caller)])

    @router.get(
        path + "/{lang}",
        response_class=Response,
        responses={
            200: {"content": {"text/vtt": {}}, "description": "WebVTT."},
            304: {"description": "The caller has it already."},
            **errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.STREAM_FILE_UNAVAILABLE),
        },
    )
    async def get_subtitles(video_id: str, lang: str, request: Request, caller: CurrentCaller) -> Response:
        """Return one track as WebVTT; `lang` is the language, or a track's name such as `en.forced`."""
        subtitle = await subtitles.get(video_id, lang, caller)
        headers = {
            "ETag": f'"{subtitle.id}"',
            # The next user of this browser may not see it: a cache asks each time.
            "Cache-Control": "private, no-cache",
            "Vary": "Authorization, Cookie",
        }
        if _has(request.headers.get("If-None-Match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        content = await subtitles.read(subtitle)
        return Response(content, media_type="text/vtt; charset=utf-8", headers=headers)

    @router.put(
        path + "/{lang}",
        openapi_extra=_BODY,
        responses=errors(
            ErrorCode.CONTENT_NOT_FOUND,
            ErrorCode.REQUEST_TOO_LARGE,
            ErrorCode.UPLOAD_INVALID_MEDIA,
            ErrorCode.STORAGE_FULL,
            ErrorCode.STREAM_FILE_UNAVAILABLE,
        ),
    )
    async def put_subtitles(
        video_id: str,
        lang: str,
        request: Request,
        caller: CurrentCaller,
        address: ClientAddress,
        title: Annotated[str, Query(max_length=MAX_TITLE_CHARS, description="What a menu shows.")] = "",
        *,
        forced: Annotated[bool, Query(description="Only for what is spoken in another language.")] = False,
        sdh: Annotated[bool, Query(description="For people who are deaf or hard of hearing.")] = False,
        encoding: Annotated[
            str, Query(max_length=40, description="Of the file, when the one found out is wrong: `cp949`.")
        ] = "",
    ) -> StoredSubtitleView:
        """Take a file as a track, in place of the one before: WebVTT, SRT or ASS in any common encoding, at most 1 MiB.

        For the video's uploader and administrators. `lang` is a BCP 47 tag. The answer says which encoding was found,
        and how sure that is.
        """
        new = NewSubtitles(
            track=_track(lang, forced=forced, sdh=sdh),
            title=clean_text(title, MAX_TITLE_CHARS),
            data=await request.body(),
            encoding=encoding,
        )
        subtitle, captions = await subtitles.put(video_id, new, caller, address)
        more = {"format": captions.format, "sample": _sample(captions.webvtt)}
        return StoredSubtitleView.model_validate(_fields(subtitle) | more)

    @router.delete(path + "/{lang}", status_code=204, responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def delete_subtitles(video_id: str, lang: str, caller: CurrentCaller, address: ClientAddress) -> None:
        """Remove a track: for the video's uploader and administrators."""
        await subtitles.delete(video_id, lang, caller, address)

    return router


def _fields(subtitle: Subtitle) -> dict[str, Any]:
    names = SubtitleView.model_fields.keys() - {"needs_confirmation", "url"}
    version = int(subtitle.created_at.timestamp() * 1000)
    return {name: getattr(subtitle, name) for name in names} | {
        "needs_confirmation": subtitle.encoding_confidence < CERTAIN,
        "url": f"/api/videos/{subtitle.video_id}/subtitles/{subtitle.track}?v={version}",
    }


def _track(lang: str, *, forced: bool, sdh: bool) -> Track:
    try:
        named = parse_track(lang)
    except ValueError as error:
        raise invalid_field("lang", str(error)) from error
    return Track(named.language, forced=named.forced or forced, sdh=named.sdh or sdh)


def _sample(webvtt: str) -> Sequence[str]:
    lines = (line for line in webvtt.split("\n") if line.strip() and "-->" not in line and line != "WEBVTT")
    return [line[:200] for line, _ in zip(lines, range(_SAMPLE_LINES), strict=False)]


def _has(if_none_match: str, etag: str) -> bool:
    """Return whether an `If-None-Match` names the tag (RFC 9110, 13.1.2)."""
    tags = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return etag in tags or "*" in tags
