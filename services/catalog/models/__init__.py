"""Tables of catalog, by topic."""

from __future__ import annotations

from services.catalog.models.base import Base
from services.catalog.models.imports import ImportFile, JobRecord, JobResult, Subtitle
from services.catalog.models.search import UNMODELLED, SearchDocument, SearchTokens, SearchWord, VideoTag
from services.catalog.models.series import Highlight, HighlightPlayer, Series, WatchlistItem, WatchlistUser
from services.catalog.models.uploads import ResumableUpload, UploadPart
from services.catalog.models.version import CatalogueVersion
from services.catalog.models.videos import Artwork, Asset, MediaJob, Video

__all__ = [
    "UNMODELLED",
    "Artwork",
    "Asset",
    "Base",
    "CatalogueVersion",
    "Highlight",
    "HighlightPlayer",
    "ImportFile",
    "JobRecord",
    "JobResult",
    "MediaJob",
    "ResumableUpload",
    "SearchDocument",
    "SearchTokens",
    "SearchWord",
    "Series",
    "Subtitle",
    "UploadPart",
    "Video",
    "VideoTag",
    "WatchlistItem",
    "WatchlistUser",
]
