"""Routes of corporations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from kit.auth.authentication import CurrentCaller, protected_router
from kit.errors import ApiError, ErrorCode
from kit.web.schemas import Page, Paging, errors, paging
from services.auth.domain import effective_plan
from services.auth.http.common import AdminActor, SearchText
from services.auth.models import Corporation
from services.auth.schemas import CorporationNaming, CorporationView, PlanChange
from services.auth.service import Corporations


def build_router(corporations: Corporations) -> APIRouter:
    """Return the routes under `/api/corporations`. Members are accounts: `/api/users?corporation_id=`."""
    router = protected_router()

    def view(corporation: Corporation) -> CorporationView:
        plan = effective_plan(corporation.plan, corporation.plan_expires_at, corporations.now())
        return CorporationView(
            id=corporation.id,
            name=corporation.name,
            plan=plan,
            plan_expires_at=corporation.plan_expires_at if plan == "paid" else None,
            created_at=corporation.created_at,
        )

    @router.get("/api/corporations")
    async def list_corporations(
        admin: AdminActor,  # noqa: ARG001 - requires an administrator
        page: Annotated[Paging, Depends(paging)],
        query: SearchText = None,
    ) -> Page[CorporationView]:
        """List corporations, newest first; `query` is a part of the name. Administrators only."""
        found, total = await corporations.page(query, offset=page.offset, limit=page.page_size)
        return Page(items=[view(each) for each in found], page=page.page, page_size=page.page_size, total=total)

    @router.post("/api/corporations", status_code=201, responses=errors(ErrorCode.CORPORATION_NAME_TAKEN))
    async def make_corporation(body: CorporationNaming, admin: AdminActor) -> CorporationView:
        """Create a corporation on the free plan. Administrators only."""
        return view(await corporations.make(body.name, admin))

    @router.get("/api/corporations/{corporation_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def get_corporation(corporation_id: str, caller: CurrentCaller) -> CorporationView:
        """Return a corporation to its members and administrators; others get CONTENT_NOT_FOUND."""
        if not caller.is_admin and caller.corporation_id != corporation_id:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return view(await corporations.get(corporation_id))

    @router.patch(
        "/api/corporations/{corporation_id}",
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CORPORATION_NAME_TAKEN),
    )
    async def rename_corporation(corporation_id: str, body: CorporationNaming, admin: AdminActor) -> CorporationView:
        """Rename a corporation. Administrators only."""
        return view(await corporations.rename(corporation_id, body.name, admin))

    @router.delete(
        "/api/corporations/{corporation_id}",
        status_code=204,
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.CORPORATION_NOT_EMPTY),
    )
    async def delete_corporation(corporation_id: str, admin: AdminActor) -> None:
        """Remove a corporation that has no members. Administrators only."""
        await corporations.delete(corporation_id, admin)

    @router.put("/api/corporations/{corporation_id}/plan", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def set_plan(corporation_id: str, body: PlanChange, admin: AdminActor) -> CorporationView:
        """Put a corporation on a plan; it becomes free when a paid plan ends. Administrators only."""
        return view(await corporations.set_plan(corporation_id, body.plan, body.expires_at, admin))

    return router
