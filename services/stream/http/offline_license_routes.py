"""HTTP API of licences for offline playback: translates, decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from kit.auth.authentication import ActingAdmin, CurrentAdmin, CurrentCaller, protected_router
from kit.errors import ErrorCode
from kit.web.schemas import Page, Paging, errors, paging
from services.stream.protection import Protection
from services.stream.protection.licences import IssuedLicence, LicenceRequest
from services.stream.repository import LicenceFilter
from services.stream.schemas import (
    AdminOfflineLicense,
    IssuedOfflineLicense,
    LicenseRenewal,
    OfflineLicense,
    OfflineLicenseRequest,
    WatermarkView,
)
from services.stream.service import Streams

PATH = "/api/offline-licenses"
ADMIN_PATH = "/api/admin/offline-licenses"


class OfflineLicenseRoutes:
    """The routes of licences, for their users and for administrators.

    Args:
        protection: the use cases.
        streams: finds videos.
    """

    def __init__(self, protection: Protection, streams: Streams) -> None:
        self._licences = protection.licences
        self._device_keys = protection.device_keys
        self._streams = streams

    def router(self) -> APIRouter:
        """Return all of them."""
        router = protected_router()
        away = errors(ErrorCode.SERVICE_UNAVAILABLE)
        at_id = away | errors(ErrorCode.CONTENT_NOT_FOUND)
        ended = errors(ErrorCode.LICENSE_EXPIRED)
        issued = at_id | errors(ErrorCode.CONTENT_NOT_READY, ErrorCode.LICENSE_LIMIT_REACHED)
        one = f"{PATH}/{{license_id}}"
        router.add_api_route(PATH, self.issue, methods=["POST"], status_code=201, responses=issued)
        router.add_api_route(PATH, self.mine, methods=["GET"], responses=away)
        router.add_api_route(one, self.look, methods=["GET"], responses=at_id | ended)
        router.add_api_route(f"{one}/renew", self.renew, methods=["POST"], responses=at_id | ended)
        router.add_api_route(one, self.remove, methods=["DELETE"], status_code=204, responses=at_id)
        router.add_api_route(ADMIN_PATH, self.all, methods=["GET"], responses=away)
        router.add_api_route(
            f"{ADMIN_PATH}/{{license_id}}", self.revoke, methods=["DELETE"], status_code=204, responses=at_id
        )
        return router

    async def issue(self, body: OfflineLicenseRequest, caller: CurrentCaller) -> IssuedOfflineLicense:
        """Issue a licence to play a protected film on one device without the network.

        A device has one for a video: asked for again, it is issued anew under its id. The bytes come from `/lsv`, with
        a play session.
        """
        source = await self._streams.find_protected(body.video_id, caller)
        prepared = await self._device_keys.prepare(source, caller.user_id, body.public_key, body.wrap_algorithm)
        request = LicenceRequest(caller.user_id, body.device_id, body.device_name, body.public_key, body.expires_in_sec)
        return _issued_view(await self._licences.issue(request, prepared))

    async def mine(self, caller: CurrentCaller, page: Annotated[Paging, Depends(paging)]) -> Page[OfflineLicense]:
        """List the caller's licences that are in force, on all devices; those issued last first."""
        wanted = LicenceFilter(user_id=caller.user_id, in_force_at=datetime.now(UTC))
        found, total = await self._licences.page(wanted, offset=page.offset, limit=page.page_size)
        items = [OfflineLicense.model_validate(each) for each in found]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    async def look(self, license_id: str, caller: CurrentCaller) -> OfflineLicense:
        """Return one of the caller's licences. One that has ended is answered `LICENSE_EXPIRED`, with the reason."""
        return OfflineLicense.model_validate(await self._licences.find_own(license_id, caller.user_id))

    async def renew(self, license_id: str, body: LicenseRenewal, caller: CurrentCaller) -> IssuedOfflineLicense:
        """Renew one of the caller's licences, for the device key that it was issued for, and the film as it is now."""
        licence = await self._licences.find_own(license_id, caller.user_id)
        source = await self._streams.find_protected(licence.video_id, caller)
        prepared = await self._device_keys.prepare(source, caller.user_id, body.public_key, body.wrap_algorithm)
        renewed = await self._licences.renew(license_id, caller.user_id, body.public_key, body.expires_in_sec, prepared)
        return _issued_view(renewed)

    async def remove(self, license_id: str, caller: CurrentCaller) -> None:
        """End one of the caller's licences: its device has deleted the film."""
        await self._licences.revoke(license_id, user_id=caller.user_id)

    async def all(
        self,
        caller: CurrentAdmin,
        page: Annotated[Paging, Depends(paging)],
        user_id: Annotated[str | None, Query(max_length=64)] = None,
        video_id: Annotated[str | None, Query(max_length=64)] = None,
        device_id: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Page[AdminOfflineLicense]:
        """List licences, all or of a user, a video or a device; also those that ended in the last 90 days."""
        del caller
        wanted = LicenceFilter(user_id=user_id, video_id=video_id, device_id=device_id)
        found, total = await self._licences.page(wanted, offset=page.offset, limit=page.page_size)
        items = [AdminOfflineLicense.model_validate(each) for each in found]
        return Page(items=items, page=page.page, page_size=page.page_size, total=total)

    async def revoke(self, license_id: str, admin: ActingAdmin) -> None:
        """End any user's licence: it can't be renewed. A device without the network plays on until it expires."""
        await self._licences.revoke(license_id, by=admin)


def _issued_view(issued: IssuedLicence) -> IssuedOfflineLicense:
    return IssuedOfflineLicense(
        **OfflineLicense.model_validate(issued.licence).model_dump(),
        server_public_key=issued.key.server_public_key,
        wrapped_key=issued.key.wrapped_key,
        watermark=WatermarkView.model_validate(issued.watermark),
    )
