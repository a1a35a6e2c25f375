"""HTTP API of progress: translates requests into calls of use cases."""

from __future__ import annotations

from fastapi import APIRouter

from services.progress.http.bookmarks import bookmarks_router
from services.progress.http.points import points_router
from services.progress.http.view_log import view_log_router
from services.progress.http.watching import history_router, progress_router
from services.progress.service import Bookmarks, History, Points, Recorder, ViewLog


def build_routers(
    recorder: Recorder, history: History, points: Points, view_log: ViewLog, bookmarks: Bookmarks
) -> dict[str, APIRouter]:
    """Return the routes of progress, by tag."""
    return {
        "progress": progress_router(recorder, history),
        "history": history_router(history),
        "points": points_router(points),
        "bookmarks": bookmarks_router(bookmarks),
        "view log": view_log_router(view_log),
    }
