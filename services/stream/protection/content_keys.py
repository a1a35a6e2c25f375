"""Content keys of protected films: made once a pack, kept wrapped by a master key, unwrapped for each answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.ids import is_id
from kit.settings import SettingsError
from lsv import ContentKey, MasterKeys
from lsv.errors import LsvError
from services.stream.domain import Source
from services.stream.models import WrappedContentKey
from services.stream.repository import ContentKeyRepository

log = structlog.get_logger()

BATCH: Final = 100
"""Keys that are wrapped anew in one transaction."""
RETRY_AFTER_SEC: Final = 30


class ProtectionUnavailableError(ApiError):
    """Protected films can't be played or packed now: a part of what that takes is missing.

    Args:
        dependency: `database`, `master_key` or `content_key`.
    """

    def __init__(self, dependency: str) -> None:
        super().__init__(
            ErrorCode.SERVICE_UNAVAILABLE,
            details={"dependency": dependency},
            headers={"Retry-After": str(RETRY_AFTER_SEC)},
        )


class ContentKeys:
    """Issue and find the content keys of packs.

    Args:
        database: where they are kept; None where there is no database.
        master_keys: wrap them; None where there is none.
    """

    def __init__(self, database: Database | None, master_keys: MasterKeys | None) -> None:
        self._database = database
        self._master_keys = master_keys

    @property
    def database(self) -> Database:
        """Return the database. Raise ProtectionUnavailableError where there is none."""
        if self._database is None:
            raise ProtectionUnavailableError("database")
        return self._database

    @property
    def master_keys(self) -> MasterKeys:
        """Return the master keys. Raise ProtectionUnavailableError where there are none."""
        if self._master_keys is None:
            raise ProtectionUnavailableError("master_key")
        return self._master_keys

    async def issue(self, video_id: str, asset_id: str) -> ContentKey:
        """Return the content key of a pack: made at the first call, and the same at each later one.

        Raises:
            ApiError: VALIDATION_FAILED for what is no id, and for a pack of another video; SERVICE_UNAVAILABLE.
        """
        for field, value in (("video_id", video_id), ("asset_id", asset_id)):
            if not is_id(value):
                raise invalid_field(field, "must be a UUID")
        database, master_keys = self.database, self.master_keys
        key = ContentKey.generate()
        async with database.write() as transaction:
            keys = ContentKeyRepository(transaction.session)
            await keys.insert(
                {
                    "asset_id": asset_id,
                    "video_id": video_id,
                    "key_id": str(key.id),
                    "master_key_id": master_keys.current_id.hex(),
                    "wrapped": master_keys.wrap(key),
                    "created_at": datetime.now(UTC),
                }
            )
            row = await keys.get(asset_id)
        if row is None:
            raise ProtectionUnavailableError("content_key")
        if row.video_id != video_id:
            raise invalid_field("asset_id", "is a pack of another video")
        log.info("content_key_issued", content_id=video_id, asset_id=asset_id, key_id=row.key_id)
        return self._unwrap(row, master_keys)

    async def get(self, source: Source) -> ContentKey:
        """Return the content key of the pack that a video is served as.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when it is not there, or can't be unwrapped.
        """
        database, master_keys = self.database, self.master_keys
        async with database.read() as session:
            row = await ContentKeyRepository(session).get(source.asset_id)
        if row is None:
            log.error("content_key_missing", content_id=source.video_id, asset_id=source.asset_id)
            raise ProtectionUnavailableError("content_key")
        return self._unwrap(row, master_keys)

    async def rewrap(self) -> int:
        """Wrap all keys by the current master key; return how many were wrapped by another one. Packs stay as they are.

        Raises:
            SettingsError: a key can't be unwrapped; what was wrapped before it stays done.
        """
        database, master_keys = self.database, self.master_keys
        current, count, last = master_keys.current_id.hex(), 0, ""
        while True:
            async with database.write() as transaction:
                keys = ContentKeyRepository(transaction.session)
                rows = await keys.wrapped_by_others(current, last, BATCH)
                for row in rows:
                    try:
                        wrapped = master_keys.rewrap(row.wrapped, key_id=UUID(row.key_id))
                    except LsvError as error:
                        raise SettingsError(
                            f"The content key of pack {row.asset_id} can't be unwrapped ({error}): put the master key"
                            " that wrapped it into MARQUEE_LSV_PREVIOUS_MASTER_KEYS."
                        ) from error
                    await keys.rewrap(row.asset_id, current, wrapped)
                    last = row.asset_id
            count += len(rows)
            if len(rows) < BATCH:
                return count

    async def check_master_keys(self) -> None:
        """Compare the master keys with those that wrapped the content keys in the database.

        Raises:
            SettingsError: they open none of them.
        """
        if self._database is None or self._master_keys is None:
            return
        async with self._database.read() as session:
            counts = await ContentKeyRepository(session).counts_by_master_key()
        unreadable = {each: count for each, count in counts.items() if not self._master_keys.knows(bytes.fromhex(each))}
        if counts and len(unreadable) == len(counts):
            raise SettingsError(
                "MARQUEE_LSV_MASTER_KEY (or the file) can't be used: it is another one than the one that wrapped the"
                " content keys in the database; without that one no protected film can be played."
            )
        for master_key_id, count in unreadable.items():
            log.error("content_keys_unreadable", master_key_id=master_key_id, count=count)

    @staticmethod
    async def forget_video(transaction: Transaction, video_id: str) -> None:
        """Remove the keys of a video that is gone for good: its packs can't be opened any more."""
        await ContentKeyRepository(transaction.session).delete_video(video_id)

    @staticmethod
    def _unwrap(row: WrappedContentKey, master_keys: MasterKeys) -> ContentKey:
        try:
            return master_keys.unwrap(row.wrapped, key_id=UUID(row.key_id))
        except LsvError as error:
            log.error("content_key_unreadable", asset_id=row.asset_id, reason=str(error))
            raise ProtectionUnavailableError("master_key") from error
