"""HTTP API of catalog: translates, decides nothing."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from starlette.types import Scope

from kit.media_store import WritableStore
from services.catalog.http import artwork as artwork_routes
from services.catalog.http import dead_letters as dead_letter_routes
from services.catalog.http import edits, health, tus
from services.catalog.http import imports as import_routes
from services.catalog.http import jobs as job_routes
from services.catalog.http import search as search_routes
from services.catalog.http import subtitles as subtitle_routes
from services.catalog.http import videos as videos_routes
from services.catalog.service import (
    Admission,
    ArtworkReader,
    HealthOverview,
    Imports,
    ResumableUploads,
    Search,
    VideoEditor,
    Videos,
)
from services.catalog.service.answers import Answers
from services.catalog.service.dead_letters import DeadLetters
from services.catalog.service.jobs import Jobs
from services.catalog.service.protection import Protection
from services.catalog.service.scans import Scans
from services.catalog.service.subtitles import Subtitles

__all__ = ["build_routers", "max_body_bytes"]


def max_body_bytes(scope: Scope) -> int | None:
    """Return the limit of a request's body; None for uploads, which have a limit of their own."""
    is_upload = scope["method"] in ("POST", "PATCH") and tus.PATHS.fullmatch(scope["path"])
    return None if is_upload or (scope["method"], scope["path"]) == ("POST", "/api/videos") else 1 << 20


def build_routers(
    videos: Videos,
    editor: VideoEditor,
    protection: Protection,
    imports: Imports,
    search: Search,
    answers: Answers,
    overview: HealthOverview,
    artwork: ArtworkReader,
    store: WritableStore,
    admission: Admission,
    resumable: ResumableUploads,
    dead_letters: DeadLetters,
    subtitles: Subtitles,
    jobs: Jobs,
    scans: Scans,
    *,
    uploads: Literal["admin", "members"],
) -> dict[str, APIRouter]:
    """Return the routes of catalog, by tag."""
    return {
        "videos": videos_routes.build_router(videos, jobs, store, admission, answers, uploads),
        "uploads": tus.build_router(resumable, uploads),
        "artwork": artwork_routes.build_router(artwork),
        "changes": edits.build_router(editor, protection),
        "imports": import_routes.build_router(imports, scans),
        "subtitles": subtitle_routes.build_router(subtitles),
        "jobs": job_routes.build_router(jobs),
        "dead letters": dead_letter_routes.build_router(dead_letters),
        "search": search_routes.build_router(search, answers),
        "health": health.build_router(overview),
    }
