"""All SQL of progress."""

from services.progress.repository.points import PointRepository
from services.progress.repository.views import MAX_TOTAL, ViewCountRepository, ViewLogRepository
from services.progress.repository.watching import (
    BookmarkRepository,
    HomeRepository,
    LockedRecord,
    RecordKey,
    ViewerRepository,
    Watched,
    WatchProgressRepository,
)

__all__ = [
    "MAX_TOTAL",
    "BookmarkRepository",
    "HomeRepository",
    "LockedRecord",
    "PointRepository",
    "RecordKey",
    "ViewCountRepository",
    "ViewLogRepository",
    "ViewerRepository",
    "WatchProgressRepository",
    "Watched",
]
