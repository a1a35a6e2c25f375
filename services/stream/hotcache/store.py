"""A store in front of another one: assets that have a hot copy are served from it, all others from the original.

A copy is served while it is known to be of the state that the original is in. Every `FRESH_SEC` the original's store is
asked for that; one that does not answer, or is away, is assumed to be unchanged, as long as catalog still has the same
version.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

import structlog

from kit.aio.single_flight import SingleFlight
from services.stream.domain import AssetKind, Source
from services.stream.hotcache import metrics
from services.stream.hotcache.copy_writer import Copy, CopyWriter
from services.stream.hotcache.directory import CopyDirectory, Evicted
from services.stream.hotcache.manifest import CopyManifest
from services.stream.storage.open_files import Closer, Descriptor, OpenFile
from services.stream.storage.port import Store, StoredFile

log = structlog.get_logger()
T = TypeVar("T")

FRESH_SEC = 2.0
"""How long the original is assumed not to have changed, without asking."""
PATIENCE_SEC = 0.25
"""How long a request waits for the original's store, while there is a copy."""
IDLE_SEC = 30.0
"""A copy that was not requested for so long is closed, so that it may be evicted."""
WANTED = 1000
"""Assets remembered as wanted, those requested last."""
READERS = 8
"""Threads that read copies which are not in memory."""


class WantedCopy(NamedTuple):
    """A request for an asset that has no copy."""

    video_id: str
    at: float
    """Monotonic seconds."""


class HotFile(OpenFile):
    """An open hot copy, with the state and date of the original. While this object exists, it is not evicted.

    Args:
        copy: which.
        descriptor: of its film.
        stat: of the film.
        pool: threads that may wait for the disk.
    """

    tier = "ssd"

    def __init__(self, copy: Copy, descriptor: Descriptor, stat: os.stat_result, pool: ThreadPoolExecutor) -> None:
        super().__init__(descriptor, stat, pool)
        self.copy = copy
        self.mtime_ns = copy.manifest.modified_ns
        self.state = copy.manifest.state
        self.used_at = self._validated_at = time.monotonic()
        self.is_touched = True
        """Whether its last use is recorded in the folder."""
        self._is_revoked = False

    def is_validated(self) -> bool:
        """Return whether the original was in the same state a moment ago. Counts as a use."""
        now = time.monotonic()
        self.used_at, self.is_touched = now, False
        return now - self._validated_at < FRESH_SEC and not self._is_revoked

    def mark_validated(self) -> None:
        """Record that the original is in the same state, or can't be asked."""
        self._validated_at = time.monotonic()

    def revoke(self) -> None:
        """Give it to no further request; its present readers may finish."""
        self._is_revoked = True


class HotStore:
    """A `Store` that serves hot copies where there are some. Everything in it is keyed by asset id.

    Args:
        original: the store behind it, which knows in which state everything is.
        folder: has the copies.
        is_deleted: whether an original that is not found was deleted, rather than its whole store taken away; may
            block.
    """

    def __init__(self, original: Store, folder: CopyDirectory, *, is_deleted: Callable[[Source], bool]) -> None:
        self._original = original
        self._folder = folder
        self._is_deleted = is_deleted
        self._copies: dict[str, Copy] = {}
        self._open: dict[str, HotFile] = {}
        """By the asset id of the request, which a copy from before assets does not have."""
        self._opening = SingleFlight[Copy, HotFile | None]()
        self._checks: dict[Copy, tuple[float, asyncio.Task[bool]]] = {}
        self._making: set[CopyManifest] = set()
        """Copies that this process is making, and that were not called off."""
        self._dropped: dict[Copy, asyncio.Task[None]] = {}
        """Copies that must not be served, and may still be in the folder."""
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="stream-hot-read")
        self._closer = Closer(self._readers)
        # Apart from the readers, who must not wait while gigabytes are synced or deleted.
        self._workers = ThreadPoolExecutor(2, thread_name_prefix="stream-hot-keep")
        # A listing of the folder must not overwrite what was done to it since.
        self._changing = asyncio.Lock()
        self._is_away = False
        self.wanted: OrderedDict[str, WantedCopy] = OrderedDict()
        """The last request for each asset that has no copy, by asset id; the latest comes last."""
        self.on_release: Callable[[str], None] = lambda _: None
        """Called with the id of an asset whose open file must be dropped."""

    @property
    def copies(self) -> dict[str, Copy]:
        """The copies known here, by asset id."""
        return dict(self._copies)

    async def open(self, source: Source) -> StoredFile:
        """Open an asset: its copy if there is one, the original otherwise.

        Raises:
            OSError: there is no copy, and the original can't be opened.
        """
        copy = self._copy_of(source)
        if copy and copy.manifest.version < source.version:
            self._forget(copy, "changed")
        elif copy and copy.manifest.version == source.version and (file := await self._open_valid(copy, source)):
            metrics.REQUESTS.labels("hit").inc()
            return file
        metrics.REQUESTS.labels("miss").inc()
        self._want(source)
        return await self._original.open(source)

    async def open_original(self, source: Source) -> StoredFile:
        """Open the original, whether there is a copy or not. Raises OSError."""
        return await self._original.open(source)

    async def prepare(self) -> None:
        """Find the copies on disk; call it first. Raises OSError when the folder can't be used."""
        await self.in_thread(self._folder.prepare)
        await self.refresh()

    async def ping(self) -> None:
        """Raise OSError when the platform's own store can't be read."""
        await self._original.ping()

    def close(self) -> None:
        """Close everything."""
        self._open.clear()
        self._closer.end()
        for pool in (self._readers, self._workers):
            pool.shutdown(wait=False, cancel_futures=True)
        self._original.close()

    async def drop(self, video_id: str, reason: str) -> None:
        """Remove all copies of a video, also those being made: it has changed, or is gone."""
        for asset_id in [each for each, want in self.wanted.items() if want.video_id == video_id]:
            del self.wanted[asset_id]
        self._making = {manifest for manifest in self._making if manifest.video_id != video_id}
        copies = [each for each in self._copies.values() if each.manifest.video_id == video_id]
        for copy in copies:
            self._forget(copy, reason)
        await asyncio.shield(asyncio.gather(*(self._dropped[copy] for copy in copies)))

    def has_plain_copy(self, video_id: str) -> bool:
        """Return whether there is a copy of a video's source, or one is being made."""
        manifests = [*self._making, *(copy.manifest for copy in self._copies.values())]
        return any(each.video_id == video_id and each.kind == AssetKind.SOURCE for each in manifests)

    async def is_current(self, copy: Copy, source: Source) -> bool:
        """Return whether a copy has the original's state, as far as its store answers; drop it if not."""
        if copy.manifest.version < source.version:
            self._forget(copy, "changed")
        if copy.manifest.version != source.version:
            return False
        return await asyncio.shield(self._ask(copy, source)[1])

    async def refresh(self) -> None:
        """Read what the folder holds now, and close what is not in use."""
        for asset_id, file in list(self._open.items()):
            if not file.is_touched:
                file.is_touched = True
                await self.in_thread(partial(self._folder.touch, file.copy))
            if time.monotonic() - file.used_at > IDLE_SEC:
                self._release(asset_id)
        async with self._changing:
            found, used, evicted = await self.in_thread(self._list)
            self._copies = {asset_id: copy for asset_id, copy in found.items() if copy not in self._dropped}
            self._report(evicted)
            metrics.BYTES.set(used)

    async def reserve(self, manifest: CopyManifest) -> CopyWriter | None:
        """Begin a copy; see `CopyDirectory.reserve`."""
        begun: list[CopyWriter] = []

        def begin() -> list[Evicted]:
            writer, evicted = self._folder.reserve(manifest)
            begun.extend([writer] if writer else ())
            return evicted

        async with self._changing:
            try:
                self._report(await self.in_thread(begin))
            except asyncio.CancelledError:
                for writer in begun:
                    await self.in_thread(writer.abandon)
                raise
        if not begun:
            return None
        self._making.add(manifest)
        return begun[0]

    async def finish(self, writer: CopyWriter, manifest: CopyManifest) -> None:
        """Publish a whole copy.

        Raises:
            OSError: the disk is broken, or the copy is not wanted any more.
        """
        async with self._changing:
            if writer.manifest not in self._making:
                raise OSError(errno.ESTALE, "the video was deleted meanwhile")
            self._copies[manifest.asset_id] = await self.in_thread(partial(writer.finish, manifest))
            self._making.discard(writer.manifest)
            # Viewers of the original get the copy from their next request on.
            self.on_release(manifest.asset_id)

    async def abandon(self, writer: CopyWriter) -> None:
        """Give up a copy that is being made; does nothing to a finished one."""
        self._making.discard(writer.manifest)
        await self.in_thread(writer.abandon)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run blocking work; once begun it is awaited, also when the caller is cancelled."""
        doing = asyncio.get_running_loop().run_in_executor(self._workers, work)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            raise

    @property
    def threads(self) -> ThreadPoolExecutor:
        """The threads that write copies."""
        return self._workers

    def _copy_of(self, source: Source) -> Copy | None:
        copy = self._copies.get(source.asset_id)
        if copy is None and source.kind == AssetKind.SOURCE:
            # Copies from before assets are known by the video's id.
            copy = self._copies.get(source.video_id)
        return copy

    def _want(self, source: Source) -> None:
        self.wanted[source.asset_id] = WantedCopy(source.video_id, time.monotonic())
        self.wanted.move_to_end(source.asset_id)
        if len(self.wanted) > WANTED:
            self.wanted.popitem(last=False)

    async def _open_valid(self, copy: Copy, source: Source) -> HotFile | None:
        """Open a copy; None when it is not of the original's state, or gone."""
        file = self._open.get(source.asset_id)
        if file and file.copy == copy and file.is_validated():
            return file
        if not await self._may_serve(copy, source):
            return None
        file = self._open.get(source.asset_id)
        if file is None or file.copy != copy:
            file = await self._opening.run(copy, lambda: self._open_copy(copy, source.asset_id))
        if file is None or self._copy_of(source) != copy:
            return None
        file.mark_validated()
        # The request that opened it may have known the copy's asset by another id.
        self._open[source.asset_id] = file
        return file

    async def _may_serve(self, copy: Copy, source: Source) -> bool:
        """Return the same as `is_current`, or True when the store takes longer than a viewer should wait."""
        asked_at, check = self._ask(copy, source)
        # The wait counts from the first request that asked: later ones do not wait anew for a silent store.
        patience = max(asked_at + PATIENCE_SEC - time.monotonic(), 0)
        if not (await asyncio.wait({check}, timeout=patience))[0]:
            self._note_store(is_away=True)
            return True
        return check.result()

    def _ask(self, copy: Copy, source: Source) -> tuple[float, asyncio.Task[bool]]:
        """Return the running check whether a copy is current, and when it began; start one if there is none."""
        running = self._checks.get(copy)
        if running is None:
            check = asyncio.ensure_future(self._check(copy, source))
            running = self._checks[copy] = time.monotonic(), check
            check.add_done_callback(lambda done: self._checked(copy, done))
        return running

    async def _check(self, copy: Copy, source: Source) -> bool:
        try:
            original = await self._original.open(source)
        except FileNotFoundError:
            if not await asyncio.to_thread(self._is_deleted, source):
                self._note_store(is_away=True)
                return True
            self._forget(copy, "deleted")
            return False
        except OSError:
            self._note_store(is_away=True)
            return True
        self._note_store(is_away=False)
        if (original.state, original.size) == (copy.manifest.state, copy.manifest.size):
            return True
        self._forget(copy, "changed")
        return False

    def _forget(self, copy: Copy, reason: str) -> None:
        """Serve a copy no more, and remove it in the background."""
        manifest = copy.manifest
        if self._copies.get(manifest.asset_id) != copy:
            return
        del self._copies[manifest.asset_id]
        for asset_id in {manifest.asset_id, *(each for each, file in self._open.items() if file.copy == copy)}:
            self._release(asset_id)
        metrics.DROPPED.labels(reason).inc()
        log.info("hot_cache_dropped", content_id=manifest.video_id, reason=reason, bytes=manifest.size)
        self._dropped[copy] = asyncio.ensure_future(self._remove(copy))

    async def _remove(self, copy: Copy) -> None:
        try:
            async with self._changing:
                await self.in_thread(partial(self._folder.remove, copy))
        except OSError as error:
            # It stays in `_dropped`, and so is not served.
            log.error("hot_cache_failed", content_id=copy.manifest.video_id, error=str(error))
        else:
            del self._dropped[copy]

    def _checked(self, copy: Copy, done: asyncio.Task[bool]) -> None:
        self._checks.pop(copy, None)
        if not done.cancelled():
            # Retrieve the exception so that asyncio does not log it: the requests that waited have raised it.
            done.exception()

    def _note_store(self, *, is_away: bool) -> None:
        if is_away is not self._is_away:
            self._is_away = is_away
            log.warning("hot_cache_store_away" if is_away else "hot_cache_store_back")

    async def _open_copy(self, copy: Copy, asset_id: str) -> HotFile | None:
        manifest = copy.manifest
        loop = asyncio.get_running_loop()
        try:
            number = await loop.run_in_executor(self._readers, self._folder.open, copy)
        except OSError as error:
            log.error("hot_cache_failed", content_id=manifest.video_id, error=str(error))
            number = None
        if number is None:
            if self._copies.get(manifest.asset_id) == copy:
                del self._copies[manifest.asset_id]
            return None
        file = HotFile(copy, Descriptor(number, self._closer), os.fstat(number), self._readers)
        if self._copies.get(manifest.asset_id) == copy:
            self._open[asset_id] = file
        return file

    def _release(self, asset_id: str) -> None:
        if file := self._open.pop(asset_id, None):
            file.revoke()
        self.on_release(asset_id)

    def _list(self) -> tuple[dict[str, Copy], int, list[Evicted]]:
        self._folder.sweep()
        evicted = self._folder.shrink()
        return self._folder.copies(), self._folder.used_bytes(), evicted

    def _report(self, evicted: Iterable[Evicted]) -> None:
        for each in evicted:
            manifest = each.manifest
            copy = self._copies.get(manifest.asset_id)
            if copy and copy.manifest.key == manifest.key:
                del self._copies[manifest.asset_id]
            metrics.EVICTED.inc()
            unused_sec = round(each.unused_sec, 1)
            log.info("hot_cache_evicted", content_id=manifest.video_id, bytes=manifest.size, unused_sec=unused_sec)
