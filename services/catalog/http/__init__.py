"""HTTP API of catalog: translates, decides nothing."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from starlette.types import Scope

from kit.media import MediaStore
from services.catalog.http import artwork as artwork_routes
from services.catalog.http import edits, health
from services.catalog.http import imports as import_routes
from services.catalog.http import videos as videos_routes
from services.catalog.service import ArtworkReader, HealthOverview, Imports, VideoEditor, Videos

__all__ = ["build_routers", "max_body_bytes"]


def max_body_bytes(scope: Scope) -> int | None:
    """Return the limit of a request's body; None for uploads, which have a limit of their own."""
    return None if (scope["method"], scope["path"]) == ("POST", "/api/videos") else 1 << 20


def build_routers(
    videos: Videos,
    editor: VideoEditor,
    imports: Imports,
    overview: HealthOverview,
    artwork: ArtworkReader,
    store: MediaStore,
    *,
    uploads: Literal["admin", "members"],
    upload_max_bytes: int,
) -> dict[str, APIRouter]:
    """Return the routes of catalog, by tag."""
    return {
        "videos": videos_routes.build_router(videos, store, uploads, upload_max_bytes),
        "artwork": artwork_routes.build_router(artwork),
        "changes": edits.build_router(editor),
        "imports": import_routes.build_router(imports),
        "health": health.build_router(overview),
    }
