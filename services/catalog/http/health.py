"""The route of the platform's health."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.catalog.schemas import HealthView
from services.catalog.service import HealthOverview


def build_router(overview: HealthOverview) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.get("/api/health", responses={503: {"model": HealthView, "description": "A service does not answer."}})
    async def health(response: Response) -> HealthView:
        """Return the health of the platform: `degraded` while a dependency is away that requests do not need."""
        state = await overview.check()
        if state.status == "unhealthy":
            response.status_code = 503
        return HealthView(status=state.status, services=state.services, dependencies=state.dependencies)

    return router
