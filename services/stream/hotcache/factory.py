"""Build the hot cache from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kit.service import Loop
from kit.settings import SettingsError
from services.stream.hotcache import metrics
from services.stream.hotcache.directory import CopyDirectory
from services.stream.hotcache.janitor import Janitor
from services.stream.hotcache.mount_check import Mounts
from services.stream.hotcache.promoter import CountViews, FindSource, Promoter
from services.stream.hotcache.store import HotStore
from services.stream.settings import StreamSettings
from services.stream.storage.port import Store


@dataclass(frozen=True, slots=True)
class HotCache:
    """A hot cache, ready to run."""

    store: HotStore
    loops: list[Loop]
    """Its background tasks."""
    folder: Path

    async def prepare(self) -> None:
        """Find the copies on disk; call it first. Raises SettingsError when the folder can't be used."""
        try:
            await self.store.prepare()
        except OSError as error:
            raise SettingsError(f"MARQUEE_HOT_CACHE_DIR can't be used: {self.folder} ({error.strerror}).") from error


def build_hot_cache(settings: StreamSettings, originals: Store, find: FindSource, views: CountViews) -> HotCache | None:
    """Return the hot cache that the settings ask for; None when they ask for none.

    Args:
        settings: of the service.
        originals: the store behind it.
        find: looks up the source of a video.
        views: counts how often videos were watched in the last `hot_cache_days`.
    """
    folder = settings.hot_cache_dir
    metrics.BUDGET.set(settings.hot_cache_bytes if folder else 0)
    if folder is None:
        return None
    mounts = Mounts(None if settings.media_bucket else settings.media_root, settings.import_dir)
    store = HotStore(originals, CopyDirectory(folder, settings.hot_cache_bytes), is_deleted=mounts.is_deleted)
    promoter = Promoter(
        store,
        find,
        views,
        min_views=settings.hot_cache_views,
        bytes_per_sec=settings.hot_cache_copy_bytes_per_sec,
    )
    return HotCache(store, [Janitor(store, find).run, promoter.run], folder)
