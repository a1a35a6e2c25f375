"""Routes about points."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from kit.auth.authentication import ClientAddress, CurrentAdmin, CurrentCaller, protected_router
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from kit.web.schemas import Paging, errors, paging
from services.progress.schemas import Adjustment, AuditedLedgerView, AuditedPointEntryView, LedgerView
from services.progress.service import Points


def user_id_of(user_id: str) -> str:
    """The user that the path names.

    Raises:
        ApiError: CONTENT_NOT_FOUND when nobody could have this id.
    """
    if not is_id(user_id):
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    return user_id


UserId = Annotated[str, Depends(user_id_of)]


def points_router(points: Points) -> APIRouter:
    """Routes of ledgers: one's own, and everybody's for administrators."""
    router = protected_router()

    @router.get("/api/users/me/points")
    async def own(caller: CurrentCaller, page: Annotated[Paging, Depends(paging)]) -> LedgerView:
        """The caller's points, and how they came about, newest first."""
        ledger = await points.ledger(caller.user_id, offset=page.offset, limit=page.page_size)
        return LedgerView.of(ledger, page.page, page.page_size)

    @router.get("/api/admin/points/{user_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def of_user(
        admin: CurrentAdmin,  # noqa: ARG001 - being an administrator is what counts
        user_id: UserId,
        page: Annotated[Paging, Depends(paging)],
    ) -> AuditedLedgerView:
        """Somebody's points, with who adjusted them. Who never watched anything has none."""
        ledger = await points.ledger(user_id, offset=page.offset, limit=page.page_size)
        return AuditedLedgerView.of(ledger, page.page, page.page_size)

    @router.post(
        "/api/admin/points/{user_id}/adjustments",
        status_code=201,
        responses=errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE),
    )
    async def adjust(
        admin: CurrentAdmin, address: ClientAddress, user_id: UserId, body: Adjustment
    ) -> AuditedPointEntryView:
        """Adds points or takes some away, for a reason that the ledger keeps with the administrator's id.

        A ledger never goes below zero: taking away more than there is answers `VALIDATION_FAILED`.
        """
        entry = await points.adjust(user_id, body.points, body.reason, by=admin.user_id, address=address)
        return AuditedPointEntryView.of(entry)

    return router
