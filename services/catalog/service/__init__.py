"""Use cases of catalog. Each opens its own transaction; only here events are recorded."""

from services.catalog.service.cleanup import Purge, Sweep
from services.catalog.service.editing import Edit, VideoEditor
from services.catalog.service.health import HealthOverview
from services.catalog.service.imports import Import, Imports
from services.catalog.service.indexing import SearchIndexer
from services.catalog.service.library import Videos
from services.catalog.service.processing import Processing
from services.catalog.service.search import Search

__all__ = [
    "Edit",
    "HealthOverview",
    "Import",
    "Imports",
    "Processing",
    "Purge",
    "Search",
    "SearchIndexer",
    "Sweep",
    "VideoEditor",
    "Videos",
]
