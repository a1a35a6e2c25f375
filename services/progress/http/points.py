"""Routes of points."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from kit.auth.authentication import ClientAddress, CurrentAdmin, CurrentCaller, protected_router
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id
from kit.web.schemas import Paging, errors, paging
from services.progress.schemas import Adjustment, AuditedLedgerView, AuditedPointEntryView, LedgerView
from services.progress.service import Points


async def user_id_of(user_id: str) -> str:
    """Return the user id in the path.

    Raises:
        ApiError: CONTENT_NOT_FOUND when it is no valid id.
    """
    if not is_id(user_id):
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    return user_id


UserId = Annotated[str, Depends(user_id_of)]


def points_router(points: Points) -> APIRouter:
    """Return the routes of ledgers: the caller's own, and all ledgers for administrators."""
    router = protected_router()

    @router.get("/api/users/me/points")
    async def own(caller: CurrentCaller, page: Annotated[Paging, Depends(paging)]) -> LedgerView:
        """Return the caller's points and the lines of their ledger, newest first."""
        ledger = await points.ledger(caller.user_id, offset=page.offset, limit=page.page_size)
        return LedgerView.of(ledger, page.page, page.page_size)

    @router.get("/api/admin/points/{user_id}", responses=errors(ErrorCode.CONTENT_NOT_FOUND))
    async def of_user(
        admin: CurrentAdmin,  # noqa: ARG001 - requires an administrator
        user_id: UserId,
        page: Annotated[Paging, Depends(paging)],
    ) -> AuditedLedgerView:
        """Return a user's points, with the administrators who adjusted them. Unknown users have none."""
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
        """Add points or take some away, for a reason that the ledger keeps with the administrator's id.

        A ledger never goes below zero: taking away more than there is answers `VALIDATION_FAILED`.
        """
        entry = await points.adjust(user_id, body.points, body.reason, by=admin.user_id, address=address)
        return AuditedPointEntryView.of(entry)

    return router
