"""Shapes of catalog's HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from kit.encoded_json import Encoded
from kit.errors import invalid_field
from kit.web.schemas import Schema, View
from services.catalog.artwork import ArtworkKind
from services.catalog.domain import (
    MAX_DESCRIPTION_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
    Caller,
    UploadStatus,
    VideoStatus,
    clean_tags,
    clean_text,
)
from services.catalog.models import ResumableUpload, Video
from services.catalog.series.domain import MAX_NUMBER, PlacementEdit
from services.catalog.service import Edit, Import


class FileView(View):
    """One asset of a video: a file that can be served."""

    id: str
    kind: str = Field(
        description="`source`: the file that was uploaded or imported; `lsv`: the pack of a protected film."
    )
    size: int = Field(description="In bytes.")
    bitrate: int | None = Field(description="In bits a second.")
    resolution: str | None = Field(description="Width x height in pixels.")


class PosterView(View):
    """The picture of a video in one width."""

    width: int = Field(description="In pixels.")
    url: str


class AudioTrackView(View):
    """A sound track."""

    index: int
    codec: str
    language: str = Field(description="Usually ISO 639-2; empty when the film does not say.")
    title: str
    channels: int
    default: bool


class SubtitleTrackView(View):
    """An embedded track of subtitles."""

    index: int
    codec: str
    language: str = Field(description="Usually ISO 639-2; empty when the film does not say.")
    title: str
    forced: bool
    sdh: bool = Field(description="For the deaf and hard of hearing.")
    default: bool
    text: bool = Field(description="Whether it holds text, not pictures.")


class ChapterView(View):
    """A named part of a film."""

    start_sec: float
    end_sec: float
    title: str


class MediaView(View):
    """What was found in the source of a video."""

    audio: list[AudioTrackView] = Field(default_factory=list)
    subtitles: list[SubtitleTrackView] = Field(default_factory=list)
    chapters: list[ChapterView] = Field(default_factory=list)
    color_primaries: str = Field("", description="By ITU-T H.273, such as bt2020; empty when the film does not say.")
    color_transfer: str = Field("", description="By ITU-T H.273, such as smpte2084.")
    hdr: str = Field("", description="PQ or HLG; empty for ordinary brightness.")
    rotation: int = Field(0, description="Degrees clockwise by which a player turns the picture.")
    frame_rate: float = Field(0, description="Pictures a second; 0 when the film does not say.")
    bit_depth: int = 0


class JobView(View):
    """A job of the media pipeline."""

    kind: str = Field(description="facts, thumbnail, posters, storyboard, subtitles or protect.")
    state: str = Field(description="waiting, running, retrying, done or failed.")
    code: str = Field(description="Stable code of a failure; empty without one.")
    reason: str
    updated_at: datetime


class VideoView(View):
    """A video in a list."""

    id: str
    title: str
    description: str
    tags: list[str]
    status: VideoStatus
    failure_code: str | None
    failure_reason: str | None
    duration_sec: float | None
    thumbnail_url: str | None
    thumbhash: str | None = Field(description="A blurred placeholder of the thumbnail: a ThumbHash in Base64.")
    posters: list[PosterView] = Field(description="The picture in several widths, ascending.")
    uploader_id: str
    corporation_id: str | None
    duplicate_of: str | None = Field(description="The video that had the same bytes when this one arrived.")
    protection: Literal["lsv"] | None = Field(description="`lsv`: it is served encrypted only, as an LSV pack.")
    series_id: str | None
    season: int | None
    episode: int | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, video: Video) -> VideoView:
        """Return a loaded video as the API shows it."""
        return cls(**list_fields(video))


def encode_card(video: Video) -> Encoded:
    """Return a video that is loaded with its artwork as lists show it, in JSON."""
    return Encoded(VideoView.of(video).model_dump_json().encode())


class TrashedVideoView(VideoView):
    """A video in the trash."""

    deleted_at: datetime

    @classmethod
    def of(cls, video: Video) -> TrashedVideoView:
        """Return a loaded video as the API shows it."""
        return cls.model_validate(list_fields(video) | {"deleted_at": video.deleted_at})


class VideoDetailView(VideoView):
    """A video with its technical facts."""

    mime_type: str
    width: int | None
    height: int | None
    files: list[FileView]
    media: MediaView | None = Field(description="Tracks, chapters and colours, once the film was looked into.")
    storyboard_url: str | None = Field(description="WebVTT with small pictures of the whole film.")
    jobs: list[JobView] = Field(description="For its uploader and administrators: how far the pipeline is.")

    @classmethod
    def of(cls, video: Video, caller: Caller | None = None) -> VideoDetailView:
        """Return a loaded video as the API shows it to a caller; without one, its jobs are left out."""
        film = video.film
        may_see_jobs = caller is not None and (caller.is_admin or caller.user_id == video.uploader_id)
        return cls(
            **list_fields(video),
            mime_type=video.mime_type,
            width=film.width if film else None,
            height=film.height if film else None,
            files=[
                FileView(
                    id=asset.id,
                    kind=asset.kind,
                    size=asset.size_bytes,
                    bitrate=asset.bitrate_bps,
                    resolution=f"{asset.width}x{asset.height}" if asset.width else None,
                )
                for asset in video.assets
            ],
            media=MediaView.model_validate(film.details) if film and film.details else None,
            storyboard_url=_storyboard_url(video),
            jobs=[
                JobView(kind=job.kind, state=job.state, code=job.code, reason=job.reason, updated_at=job.updated_at)
                for job in (video.jobs if may_see_jobs else [])
            ],
        )


class UploadView(View):
    """A resumable upload."""

    id: str
    status: Literal["receiving", "finished", "refused"] = Field(
        description="`refused`: a video has these bytes already, and duplicates are refused."
    )
    title: str
    offset: int = Field(description="Bytes that have arrived.")
    length: int | None = Field(description="Of the whole file; null until the client declares it.")
    video_id: str | None = Field(description="Once the upload is finished.")
    duplicate_of: str | None = Field(description="The video that has the same bytes.")
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, upload: ResumableUpload) -> UploadView:
        """Return an upload as the API shows it."""
        return cls(
            id=upload.id,
            status=UploadStatus(upload.status).value,
            title=upload.title,
            offset=upload.received_bytes,
            length=upload.length_bytes,
            video_id=upload.video_id if upload.status == UploadStatus.FINISHED else None,
            duplicate_of=upload.duplicate_of,
            created_at=upload.created_at,
            expires_at=upload.expires_at,
        )


class ImportRequest(Schema):
    """A film to serve from where it lies."""

    location: str = Field(
        min_length=1,
        max_length=2000,
        description="`https://host/film.mp4`, `s3://bucket/key`, or a path below the folder of imported films.",
    )
    title: str = Field("", max_length=MAX_TITLE_CHARS, description="The file's name by default.")
    description: str = Field("", max_length=MAX_DESCRIPTION_CHARS)
    tags: list[str] = Field(default=[], max_length=MAX_TAGS)
    corporation_id: UUID | None = None
    protection: Literal["none", "lsv"] = Field(
        "none", description="`lsv`: an encrypted copy is served; the film itself stays where it lies."
    )

    def import_(self) -> Import:
        """Return the same for the use case. Raises ApiError: VALIDATION_FAILED for too many or too long tags."""
        return Import(
            location=self.location,
            title=clean_text(self.title, MAX_TITLE_CHARS),
            description=_clean_description(self.description),
            tags=_clean_tags(self.tags),
            corporation_id=str(self.corporation_id) if self.corporation_id else None,
            protection="" if self.protection == "none" else self.protection,
        )


class EditRequest(Schema):
    """New labels of a video; what is left out stays as it is."""

    title: str | None = Field(None, min_length=1, max_length=MAX_TITLE_CHARS)
    description: str | None = Field(None, max_length=MAX_DESCRIPTION_CHARS)
    tags: list[str] | None = Field(None, max_length=MAX_TAGS)
    corporation_id: UUID | None = Field(
        None, description="Administrators only: whose it is from now on; null makes it a platform video."
    )
    series_id: UUID | None = Field(None, description="The series that it is an episode of; null takes it out.")
    season: int | None = Field(None, ge=0, le=MAX_NUMBER)
    episode: int | None = Field(None, ge=0, le=MAX_NUMBER)

    def edit(self) -> Edit:
        """Return the same for the use case. Raises ApiError: VALIDATION_FAILED for text that is not valid."""
        title = None if self.title is None else clean_text(self.title, MAX_TITLE_CHARS)
        if title == "":
            raise invalid_field("title", "has nothing in it that can be shown")
        return Edit(
            title=title,
            description=None if self.description is None else _clean_description(self.description),
            tags=None if self.tags is None else _clean_tags(self.tags),
            moves="corporation_id" in self.model_fields_set,
            corporation_id=str(self.corporation_id) if self.corporation_id else None,
            placement=PlacementEdit(
                given=frozenset({"series_id", "season", "episode"} & self.model_fields_set),
                series_id=str(self.series_id) if self.series_id else None,
                season=self.season,
                episode=self.episode,
            ),
        )


class HealthView(View):
    """The health of the platform."""

    status: Literal["healthy", "degraded", "unhealthy"]
    services: dict[str, str]
    dependencies: dict[str, str]


def thumbnail_url(video: Video) -> str | None:
    """Return the path of a loaded video's thumbnail; it changes with the picture, so that it can be cached."""
    artwork = video.thumbnail
    if artwork is None:
        return None
    # Posters are sent in its place, once they are there.
    return f"/api/videos/{video.id}/thumbnail?v={(video.artwork(ArtworkKind.POSTERS) or artwork).version}"


def _posters(video: Video) -> list[PosterView]:
    artwork = video.artwork(ArtworkKind.POSTERS)
    if artwork is None or artwork.details is None:
        return []
    url = f"/api/videos/{video.id}/poster?v={artwork.version}"
    return [PosterView(width=width, url=f"{url}&width={width}") for width in artwork.details["widths"]]


def _storyboard_url(video: Video) -> str | None:
    artwork = video.artwork(ArtworkKind.STORYBOARD)
    return None if artwork is None else f"/api/videos/{video.id}/storyboard.vtt?v={artwork.version}"


def _clean_description(text: str) -> str:
    return text.replace("\x00", "").strip()


def _clean_tags(given: list[str]) -> list[str]:
    try:
        return clean_tags(given)
    except ValueError as error:
        raise invalid_field("tags", str(error)) from error


def list_fields(video: Video) -> dict[str, Any]:
    """Return what lists show of a loaded video: the fields of `VideoView`."""
    # Read past the descriptors of the ORM: a home page shows two hundred films.
    loaded = video.__dict__
    fields = {name: loaded.get(name) for name in _COLUMNS}
    fields["thumbnail_url"] = thumbnail_url(video)
    fields["posters"] = _posters(video)
    fields["protection"] = loaded.get("protection") or None
    return fields


_COLUMNS = tuple(VideoView.model_fields.keys() - {"thumbnail_url", "posters", "protection"})
