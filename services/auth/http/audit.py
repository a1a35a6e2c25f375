"""The route of the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from kit.auth.authentication import protected_router
from kit.web.schemas import Cursor, CursorPage, Paging, paging
from services.auth.http.common import AdminActor
from services.auth.repository import AuditFilter
from services.auth.schemas import AuditView
from services.auth.service import Audit


def build_router(audit: Audit) -> APIRouter:
    """Return the route `/api/admin/audit`."""
    router = protected_router()

    @router.get("/api/admin/audit")
    async def list_audit(
        admin: AdminActor,  # noqa: ARG001 - requires an administrator
        page: Annotated[Paging, Depends(paging)],
        action: Annotated[str | None, Query(max_length=50, pattern=r"^[a-z_.]+$")] = None,
        actor_id: Annotated[str | None, Query(max_length=36, pattern=r"^[0-9a-f-]+$")] = None,
        target_id: Annotated[str | None, Query(max_length=36, pattern=r"^[0-9a-f-]+$")] = None,
        since: Annotated[AwareDatetime | None, Query()] = None,
        until: Annotated[AwareDatetime | None, Query()] = None,
        cursor: Cursor = None,
    ) -> CursorPage[AuditView]:
        """List audited actions, newest first: action, actor, target, client address and time. Administrators only.

        `total` counts up to 10000.
        """
        wanted = AuditFilter(action, actor_id, target_id, since, until)
        entries, total, following = await audit.page(wanted, offset=page.offset, limit=page.page_size, cursor=cursor)
        items = [AuditView.model_validate(entry) for entry in entries]
        return CursorPage(items=items, page=page.page, page_size=page.page_size, total=total, next_cursor=following)

    return router
