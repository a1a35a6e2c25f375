"""Licences to play protected films without the network: one user, one video, one device, until a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from kit.audit import Admin, AuditAction
from kit.db.database import Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.events.envelope import Event
from kit.ids import is_id, new_id
from lsv.licences import OfflineBinding
from marquee.events.v1 import license_pb2
from services.stream.models import OfflineLicence
from services.stream.protection.content_keys import ContentKeys
from services.stream.protection.device_keys import FIELD, DeviceKey, PreparedKey
from services.stream.protection.viewers import Viewers
from services.stream.protection.watermark import Watermark
from services.stream.repository import LicenceFilter, LicenceRepository

log = structlog.get_logger()

SOURCE: Final = "stream"
MAINTENANCE_EVERY_SEC: Final = 60
KEPT_AFTER_END: Final = timedelta(days=90)
"""How long a licence that has ended is kept, so that a device and an administrator learn why."""
BATCH: Final = 100


class EndOfLicence(StrEnum):
    """Why a licence ended."""

    USER = "user"
    ADMIN = "admin"
    EXPIRED = "expired"
    ACCOUNT = "account"


class LicenceLimits(NamedTuple):
    """What licences may be had."""

    max_sec: int
    per_user: int
    per_video: int


class LicenceRequest(NamedTuple):
    """Who asks for a licence, on which device."""

    user_id: str
    device_id: str
    device_name: str
    public_key: str
    expires_in_sec: int | None = None
    """None: as long as may be."""


@dataclass(frozen=True, slots=True)
class IssuedLicence:
    """A licence with its key, which only this answer has."""

    licence: OfflineLicence
    key: DeviceKey
    watermark: Watermark


class OfflineLicences:
    """Issue, renew, list and revoke licences.

    Args:
        content_keys: for the database.
        viewers: make watermarks.
        limits: how many, and for how long.
    """

    def __init__(self, content_keys: ContentKeys, viewers: Viewers, limits: LicenceLimits) -> None:
        self._content_keys = content_keys
        self._viewers = viewers
        self._limits = limits

    async def issue(self, request: LicenceRequest, prepared: PreparedKey) -> IssuedLicence:
        """Issue a licence. One that the device has for the video is replaced, under its id.

        Raises:
            ApiError: VALIDATION_FAILED; LICENSE_LIMIT_REACHED; SERVICE_UNAVAILABLE.
        """
        if not is_id(request.device_id):
            raise invalid_field("device_id", "must be a UUID")
        video_id, now = prepared.source.video_id, _now()
        async with self._content_keys.database.write() as transaction:
            licences = LicenceRepository(transaction.session)
            await licences.lock(request.user_id, video_id)
            licence = await licences.of_device(request.user_id, request.device_id, video_id)
            if licence is None or licence.expires_at <= now:
                await self._check_limits(licences, request.user_id, video_id, now)
            if licence is None:
                licence = licences.add(
                    OfflineLicence(
                        id=new_id(), user_id=request.user_id, video_id=video_id, device_id=request.device_id, version=0
                    )
                )
            licence.device_name, licence.public_key = request.device_name, request.public_key
            await self._grant(transaction, licence, prepared, request.expires_in_sec, now)
        return await self._issued(licence, prepared)

    async def find_own(self, licence_id: str, user_id: str) -> OfflineLicence:
        """Return a licence of a user that is in force.

        Raises:
            ApiError: CONTENT_NOT_FOUND; LICENSE_EXPIRED, with the reason, once it has ended; SERVICE_UNAVAILABLE.
        """
        async with self._content_keys.database.read() as session:
            return _in_force(await LicenceRepository(session).get(licence_id), user_id)

    async def renew(
        self, licence_id: str, user_id: str, public_key: str, expires_in_sec: int | None, prepared: PreparedKey
    ) -> IssuedLicence:
        """Renew a licence of a user, for the same device key.

        Raises:
            ApiError: as `find_own`; VALIDATION_FAILED for another public key.
        """
        async with self._content_keys.database.write() as transaction:
            found = await LicenceRepository(transaction.session).get(licence_id, lock=True)
            licence = _in_force(found, user_id)
            if licence.public_key != public_key:
                self._viewers.record_failure(user_id)
                raise invalid_field(FIELD, "is not the key that the licence is bound to; ask for a new licence")
            await self._grant(transaction, licence, prepared, expires_in_sec, _now())
        return await self._issued(licence, prepared)

    async def page(self, wanted: LicenceFilter, *, offset: int, limit: int) -> tuple[Sequence[OfflineLicence], int]:
        """Return licences, those issued last first, and how many there are."""
        async with self._content_keys.database.read() as session:
            return await LicenceRepository(session).page(wanted, offset=offset, limit=limit)

    async def revoke(self, licence_id: str, *, user_id: str | None = None, by: Admin | None = None) -> None:
        """End a licence: a user's own or, as an administrator, any. One that has ended stays as it is.

        Raises:
            ApiError: CONTENT_NOT_FOUND; SERVICE_UNAVAILABLE.
        """
        async with self._content_keys.database.write() as transaction:
            licence = await LicenceRepository(transaction.session).get(licence_id, lock=True)
            if licence is None or user_id not in (None, licence.user_id):
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            if licence.ended_at is not None:
                return
            await _end(transaction, licence, EndOfLicence.ADMIN if by else EndOfLicence.USER)
            if by:
                # About persons nothing but ids.
                details = {"video_id": licence.video_id, "user_id": licence.user_id, "device_id": licence.device_id}
                await transaction.record(
                    AuditAction(by, "license.revoked", "license", licence.id, details).event(SOURCE)
                )

    async def maintain(self) -> None:
        """End licences that have expired, and delete what ended long ago and devices that are out of use."""
        while True:
            async with self._content_keys.database.write() as transaction:
                expired = await LicenceRepository(transaction.session).expired(_now(), BATCH)
                for licence in expired:
                    await _end(transaction, licence, EndOfLicence.EXPIRED)
            if len(expired) < BATCH:
                break
        async with self._content_keys.database.write() as transaction:
            await LicenceRepository(transaction.session).delete_ended_before(_now() - KEPT_AFTER_END)
            await Viewers.prune(transaction, _now())

    async def maintain_periodically(self) -> None:
        """Maintain until cancelled; failures wait for the next time."""
        while True:
            try:
                await self.maintain()
            except ApiError as error:
                log.warning("licences_not_maintained", code=error.code)
            await asyncio.sleep(MAINTENANCE_EVERY_SEC)

    @staticmethod
    async def end_account(transaction: Transaction, user_id: str, *, erase: bool) -> None:
        """End all licences of a user who may not watch any more.

        Args:
            transaction: that of the event.
            user_id: the user.
            erase: whether the account was deleted: all that is kept about the user is, then.
        """
        licences = LicenceRepository(transaction.session)
        for licence in await licences.in_force_of_user(user_id):
            await _end(transaction, licence, EndOfLicence.ACCOUNT)
        if erase:
            await licences.delete_user(user_id)
            await Viewers.forget_user(transaction, user_id)

    @staticmethod
    async def forget_video(transaction: Transaction, video_id: str) -> None:
        """Delete the licences and keys of a video that is gone for good."""
        await LicenceRepository(transaction.session).delete_video(video_id)
        await ContentKeys.forget_video(transaction, video_id)

    async def _check_limits(self, licences: LicenceRepository, user_id: str, video_id: str, now: datetime) -> None:
        for scope, limit, count in (
            ("user", self._limits.per_user, await licences.count_of_user(user_id, now)),
            ("video", self._limits.per_video, await licences.count_of_video(video_id, now)),
        ):
            if count >= limit:
                self._viewers.record_failure(user_id)
                raise ApiError(ErrorCode.LICENSE_LIMIT_REACHED, details={"scope": scope, "limit": limit})

    async def _grant(
        self,
        transaction: Transaction,
        licence: OfflineLicence,
        prepared: PreparedKey,
        expires_in_sec: int | None,
        now: datetime,
    ) -> None:
        seconds = min(expires_in_sec or self._limits.max_sec, self._limits.max_sec)
        licence.issued_at, licence.expires_at = now, now + timedelta(seconds=seconds)
        licence.content_version = prepared.source.version
        licence.version += 1
        message = license_pb2.LicenseIssued(
            license_id=licence.id,
            user_id=licence.user_id,
            video_id=licence.video_id,
            device_id=licence.device_id,
        )
        message.expires_at.FromDatetime(licence.expires_at)
        await transaction.record(Event.of(message, source=SOURCE, subject=licence.id, version=licence.version))

    async def _issued(self, licence: OfflineLicence, prepared: PreparedKey) -> IssuedLicence:
        binding = OfflineBinding(UUID(licence.video_id), UUID(licence.device_id), round(licence.expires_at.timestamp()))
        mark = await self._viewers.mark(licence.user_id, f"offline {licence.device_id}", is_offline=True)
        log.info("license_issued", license_id=licence.id, user_id=licence.user_id, content_id=licence.video_id)
        return IssuedLicence(licence, prepared.bind(binding), mark)


async def _end(transaction: Transaction, licence: OfflineLicence, reason: EndOfLicence) -> None:
    licence.ended_at, licence.end_reason = _now(), reason.value
    licence.version += 1
    message = license_pb2.LicenseRevoked(
        license_id=licence.id,
        user_id=licence.user_id,
        video_id=licence.video_id,
        device_id=licence.device_id,
        reason=reason.value,
    )
    await transaction.record(Event.of(message, source=SOURCE, subject=licence.id, version=licence.version))
    log.info("license_ended", license_id=licence.id, user_id=licence.user_id, reason=reason.value)


def _in_force(licence: OfflineLicence | None, user_id: str) -> OfflineLicence:
    """Return a licence of a user that is in force. Raise ApiError otherwise."""
    if licence is None or licence.user_id != user_id:
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    if licence.ended_at is not None or licence.expires_at <= _now():
        reason = licence.end_reason or EndOfLicence.EXPIRED.value
        raise ApiError(ErrorCode.LICENSE_EXPIRED, details={"reason": reason})
    return licence


def _now() -> datetime:
    """Return the time in whole seconds, as wrapped keys have it."""
    return datetime.now(UTC).replace(microsecond=0)
