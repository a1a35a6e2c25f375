"""Find and read pictures of videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from kit.errors import ApiError, ErrorCode
from kit.media_store import WritableStore
from services.catalog.artwork import ArtworkKind, PictureFormat, Storyboard, best_width
from services.catalog.domain import Caller
from services.catalog.models import Artwork, Video
from services.catalog.service.library import Videos

log = structlog.get_logger()

MAX_PICTURE_BYTES: Final = 32 * 2**20
"""Of one file: far more than thumbnailer makes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One file of artwork."""

    reference: str
    etag: str
    format: PictureFormat
    version: int
    """Changes with the picture."""


class ArtworkReader:
    """Reads artwork by the same rule as the film: who may see a video may see its pictures.

    Args:
        videos: the library.
        store: the media store.
    """

    def __init__(self, videos: Videos, store: WritableStore) -> None:
        self._videos = videos
        self._store = store

    async def picture(self, video_id: str, caller: Caller, width: int | None, wanted: PictureFormat) -> Picture:
        """Return the picture of a video: of a width in pixels, or the next larger; the thumbnail without posters.

        Raises:
            ApiError: CONTENT_NOT_FOUND, CONTENT_DELETED.
        """
        return _picture(await self._videos.get(video_id, caller), width, wanted)

    async def storyboard(self, video_id: str, caller: Caller) -> tuple[Artwork, Storyboard]:
        """Return the storyboard of a video, and its layout.

        Raises:
            ApiError: CONTENT_NOT_FOUND, CONTENT_DELETED.
        """
        artwork = (await self._videos.get(video_id, caller)).artwork(ArtworkKind.STORYBOARD)
        if artwork is None or artwork.details is None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return artwork, Storyboard.of(artwork.details)

    async def sheet(self, video_id: str, caller: Caller, number: int) -> Picture:
        """Return a sheet of a video's storyboard.

        Raises:
            ApiError: CONTENT_NOT_FOUND, CONTENT_DELETED.
        """
        artwork, storyboard = await self.storyboard(video_id, caller)
        if not 0 <= number < storyboard.sheets:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return Picture(
            reference=f"{artwork.reference}/storyboard-{number}.jpg",
            etag=f'"{artwork.id}-{artwork.version}-{number}"',
            format=PictureFormat.JPEG,
            version=artwork.version,
        )

    async def read(self, video_id: str, picture: Picture) -> bytes | None:
        """Return the bytes of a picture; None if it was just replaced, so that it must be found again.

        Raises:
            ApiError: STREAM_FILE_UNAVAILABLE when the media store is away.
        """
        try:
            return await self._store.read(picture.reference, MAX_PICTURE_BYTES)
        except FileNotFoundError as error:
            reason: OSError = error
        except OSError as error:
            log.error("artwork_unreadable", content_id=video_id, reason=str(error))
            raise ApiError(ErrorCode.STREAM_FILE_UNAVAILABLE) from error
        log.warning("artwork_missing", content_id=video_id, reason=str(reason))
        return None


def _picture(video: Video, width: int | None, wanted: PictureFormat) -> Picture:
    posters = video.artwork(ArtworkKind.POSTERS)
    if posters is not None and posters.details:
        chosen = best_width(posters.details["widths"], width)
        return Picture(
            reference=f"{posters.reference}/poster-{chosen}.{wanted.ending}",
            etag=f'"{posters.id}-{posters.version}-{chosen}-{wanted.ending}"',
            format=wanted,
            version=posters.version,
        )
    thumbnail = video.thumbnail
    if thumbnail is None:
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    return Picture(thumbnail.reference, f'"{thumbnail.id}-{thumbnail.version}"', PictureFormat.JPEG, thumbnail.version)
