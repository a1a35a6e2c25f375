"""Use cases of catalog. Each opens its own transaction; only here events are recorded."""

from services.catalog.service.admission import Admission, Limits
from services.catalog.service.artwork import ArtworkReader, Picture
from services.catalog.service.cleanup import Purge, Sweep
from services.catalog.service.editing import Edit, VideoEditor
from services.catalog.service.health import HealthOverview
from services.catalog.service.imports import Import, Imports
from services.catalog.service.indexing import SearchIndexer
from services.catalog.service.library import Videos
from services.catalog.service.processing import JobReport, MadeArtwork, Processing, Removed
from services.catalog.service.resumable import Chunk, NewUpload, ResumableUploads
from services.catalog.service.search import Search
from services.catalog.service.upload_sweep import UploadSweep
from services.catalog.service.upload_writer import Checksum, UploadCutError

__all__ = [
    "Admission",
    "ArtworkReader",
    "Checksum",
    "Chunk",
    "Edit",
    "HealthOverview",
    "Import",
    "Imports",
    "JobReport",
    "Limits",
    "MadeArtwork",
    "NewUpload",
    "Picture",
    "Processing",
    "Purge",
    "Removed",
    "ResumableUploads",
    "Search",
    "SearchIndexer",
    "Sweep",
    "UploadCutError",
    "UploadSweep",
    "VideoEditor",
    "Videos",
]
