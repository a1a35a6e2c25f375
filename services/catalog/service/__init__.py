"""Use cases of catalog. Each opens its own transaction; only here events are recorded."""

from services.catalog.service.artwork import ArtworkReader, Picture
from services.catalog.service.cleanup import Purge, Sweep
from services.catalog.service.editing import Edit, VideoEditor
from services.catalog.service.health import HealthOverview
from services.catalog.service.imports import Import, Imports
from services.catalog.service.library import Videos
from services.catalog.service.processing import JobReport, MadeArtwork, Processing

__all__ = [
    "ArtworkReader",
    "Edit",
    "HealthOverview",
    "Import",
    "Imports",
    "JobReport",
    "MadeArtwork",
    "Picture",
    "Processing",
    "Purge",
    "Sweep",
    "VideoEditor",
    "Videos",
]
