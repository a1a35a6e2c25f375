"""A store in front of another one: films that have a hot copy come from it, all others from where they are.

A copy is served while it is known to be of the state that the original is in. Each `FRESH_SEC` that is asked of the
original's store; one that does not answer, or is away, is believed to have what it had, as long as catalog still tells
of the same version.
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
from typing import TypeVar

import structlog

from kit.aio.single_flight import SingleFlight
from services.stream.domain import Source
from services.stream.hotcache import metrics
from services.stream.hotcache.copy_writer import Copy, CopyWriter
from services.stream.hotcache.directory import CopyDirectory, Evicted
from services.stream.hotcache.manifest import CopyManifest
from services.stream.storage.open_files import Closer, Descriptor, OpenFile
from services.stream.storage.port import Store, StoredFile

log = structlog.get_logger()
T = TypeVar("T")

FRESH_SEC = 2.0
"""For so long it is believed, unasked, that the original has not changed."""
PATIENCE_SEC = 0.25
"""How long an answer of the original's store is waited for, while there is a copy."""
IDLE_SEC = 30.0
"""A copy that nobody has asked for so long is let go of, so that it may be evicted."""
WANTED = 1000
"""Films remembered as wanted, those asked for last."""
READERS = 8
"""Threads that read copies which are not in memory."""


class HotFile(OpenFile):
    """A hot copy, opened: it says of itself what the original would. While it exists, it is not evicted.

    Args:
        copy: which.
        descriptor: of its film.
        status: what the disk says of it.
        pool: threads that may wait for the disk.
    """

    tier = "ssd"

    def __init__(self, copy: Copy, descriptor: Descriptor, status: os.stat_result, pool: ThreadPoolExecutor) -> None:
        super().__init__(descriptor, status, pool)
        self.copy = copy
        self.mtime_ns = copy.manifest.modified_ns
        self.state = copy.manifest.state
        self.used_at = self._confirmed_at = time.monotonic()
        self.is_touched = True
        """Whether its last use is noted in the folder."""
        self._is_revoked = False

    def is_fresh(self) -> bool:
        """Whether the original was in the same state a moment ago."""
        now = time.monotonic()
        self.used_at, self.is_touched = now, False
        return now - self._confirmed_at < FRESH_SEC and not self._is_revoked

    def confirm(self) -> None:
        """Notes that the original is in the same state, or can't be asked."""
        self._confirmed_at = time.monotonic()

    def revoke(self) -> None:
        """It must not be given to anybody any more; who is reading it may finish."""
        self._is_revoked = True


class HotStore:
    """Answers `Store` with hot copies where there are some.

    Args:
        original: has what there is no copy of, and knows in which state everything is.
        folder: has the copies.
        is_deleted: whether an original that is not found was deleted, and not taken away with its whole store; may
            block.
    """

    def __init__(self, original: Store, folder: CopyDirectory, *, is_deleted: Callable[[Source], bool]) -> None:
        self._original = original
        self._folder = folder
        self._is_deleted = is_deleted
        self._copies: dict[str, Copy] = {}
        self._open: dict[str, HotFile] = {}
        self._opening = SingleFlight[Copy, HotFile | None]()
        self._checks: dict[Copy, tuple[float, asyncio.Task[bool]]] = {}
        self._making: set[str] = set()
        """Videos of which this process makes a copy that nobody has called off."""
        self._dropped: dict[Copy, asyncio.Task[None]] = {}
        """Copies that must not be served, and may lie in the folder still."""
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="stream-hot-read")
        self._closer = Closer(self._readers)
        # Apart from the readers, who must not wait while gigabytes are synced or deleted.
        self._keepers = ThreadPoolExecutor(2, thread_name_prefix="stream-hot-keep")
        # What the folder was found to hold must not overwrite what was done to it since.
        self._changing = asyncio.Lock()
        self._is_away = False
        self.wanted: OrderedDict[str, float] = OrderedDict()
        """Films that were asked for and have no copy, and when (monotonic seconds); the last one comes last."""
        self.on_release: Callable[[str], None] = lambda _: None
        """Called with the id of a video whose file must not be held on to any more."""

    @property
    def copies(self) -> dict[str, Copy]:
        """The copies known here, by video."""
        return dict(self._copies)

    async def open(self, source: Source) -> StoredFile:
        """Opens a film: its copy if there is one, the original otherwise.

        Raises:
            OSError: there is no copy, and the original can't be opened.
        """
        copy = self._copies.get(source.video_id)
        if copy and copy.manifest.version < source.version:
            self._forget(copy, "changed")
        elif copy and copy.manifest.version == source.version and (file := await self._opened(copy, source)):
            metrics.REQUESTS.labels("hit").inc()
            return file
        metrics.REQUESTS.labels("miss").inc()
        self._want(source.video_id)
        return await self._original.open(source)

    async def open_original(self, source: Source) -> StoredFile:
        """Opens the original, whether there is a copy or not. Raises OSError."""
        return await self._original.open(source)

    async def prepare(self) -> None:
        """Finds the copies that are there; the first thing to do. Raises OSError when the folder can't be used."""
        await self.in_thread(self._folder.prepare)
        await self.refresh()

    async def ping(self) -> None:
        """Raises OSError when the platform's own store can't be read."""
        await self._original.ping()

    def close(self) -> None:
        """Lets everything go."""
        self._open.clear()
        self._closer.end()
        for pool in (self._readers, self._keepers):
            pool.shutdown(wait=False, cancel_futures=True)
        self._original.close()

    async def drop(self, video_id: str, reason: str) -> None:
        """Removes the copy of a video, also one in the making: its original has changed, or is gone."""
        self.wanted.pop(video_id, None)
        self._making.discard(video_id)
        if copy := self._copies.get(video_id):
            self._forget(copy, reason)
            await asyncio.shield(self._dropped[copy])

    async def is_current(self, copy: Copy, source: Source) -> bool:
        """Whether a copy is of the state that the original is in, as far as its store can be asked; drops it if not."""
        if copy.manifest.version < source.version:
            self._forget(copy, "changed")
        if copy.manifest.version != source.version:
            return False
        return await asyncio.shield(self._asked(copy, source)[1])

    async def refresh(self) -> None:
        """Looks at what the folder holds now, and lets go of what nobody uses."""
        for video_id, file in list(self._open.items()):
            if not file.is_touched:
                file.is_touched = True
                await self.in_thread(partial(self._folder.touch, file.copy))
            if time.monotonic() - file.used_at > IDLE_SEC:
                self._let_go(video_id)
        async with self._changing:
            found, used, evicted = await self.in_thread(self._look)
            self._copies = {video_id: copy for video_id, copy in found.items() if copy not in self._dropped}
            self._report(evicted)
            metrics.BYTES.set(used)

    async def reserve(self, manifest: CopyManifest) -> CopyWriter | None:
        """Begins a copy; see `CopyDirectory.reserve`."""
        begun: list[CopyWriter] = []

        def begin() -> list[Evicted]:
            part, evicted = self._folder.reserve(manifest)
            begun.extend([part] if part else ())
            return evicted

        async with self._changing:
            try:
                self._report(await self.in_thread(begin))
            except asyncio.CancelledError:
                for part in begun:
                    await self.in_thread(part.abandon)
                raise
        if not begun:
            return None
        self._making.add(manifest.video_id)
        return begun[0]

    async def finish(self, part: CopyWriter, manifest: CopyManifest) -> None:
        """Makes a whole copy known to all.

        Raises:
            OSError: the disk is broken, or the copy is not wanted any more.
        """
        async with self._changing:
            if manifest.video_id not in self._making:
                raise OSError(errno.ESTALE, "the video was deleted meanwhile")
            self._copies[manifest.video_id] = await self.in_thread(partial(part.finish, manifest))
            self._making.discard(manifest.video_id)
            # Who watches the original goes on with the copy at the next request.
            self.on_release(manifest.video_id)

    async def abandon(self, part: CopyWriter) -> None:
        """Gives a copy in the making up; does nothing to one that was finished."""
        self._making.discard(part.manifest.video_id)
        await self.in_thread(part.abandon)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Does what blocks; one that is begun is waited for, also when its caller is cancelled."""
        doing = asyncio.get_running_loop().run_in_executor(self._keepers, work)
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            raise

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Where copies are written."""
        return self._keepers

    def _want(self, video_id: str) -> None:
        self.wanted[video_id] = time.monotonic()
        self.wanted.move_to_end(video_id)
        if len(self.wanted) > WANTED:
            self.wanted.popitem(last=False)

    async def _opened(self, copy: Copy, source: Source) -> HotFile | None:
        file = self._open.get(source.video_id)
        if file and file.copy == copy and file.is_fresh():
            return file
        if not await self._may_serve(copy, source):
            return None
        file = self._open.get(source.video_id)
        if file is None or file.copy != copy:
            file = await self._opening.run(copy, lambda: self._open_copy(copy))
        if file is None or self._copies.get(source.video_id) != copy:
            return None
        file.confirm()
        return file

    async def _may_serve(self, copy: Copy, source: Source) -> bool:
        """`is_current`, but not waited for longer than a viewer should."""
        asked_at, check = self._asked(copy, source)
        # Nobody waits anew for a store that has been silent for so long.
        patience = max(asked_at + PATIENCE_SEC - time.monotonic(), 0)
        if not (await asyncio.wait({check}, timeout=patience))[0]:
            self._note(is_away=True)
            return True
        return check.result()

    def _asked(self, copy: Copy, source: Source) -> tuple[float, asyncio.Task[bool]]:
        """The question whether a copy is current, and when it was asked; one at a time."""
        asked = self._checks.get(copy)
        if asked is None:
            check = asyncio.ensure_future(self._check(copy, source))
            asked = self._checks[copy] = time.monotonic(), check
            check.add_done_callback(lambda done: self._checked(copy, done))
        return asked

    async def _check(self, copy: Copy, source: Source) -> bool:
        try:
            original = await self._original.open(source)
        except FileNotFoundError:
            if not await asyncio.to_thread(self._is_deleted, source):
                self._note(is_away=True)
                return True
            self._forget(copy, "deleted")
            return False
        except OSError:
            self._note(is_away=True)
            return True
        self._note(is_away=False)
        if (original.state, original.size) == (copy.manifest.state, copy.manifest.size):
            return True
        self._forget(copy, "changed")
        return False

    def _forget(self, copy: Copy, reason: str) -> None:
        """From now on a copy is not served; it is removed while nobody waits for that."""
        video_id, size = copy.manifest.video_id, copy.manifest.size
        if self._copies.get(video_id) != copy:
            return
        del self._copies[video_id]
        self._let_go(video_id)
        metrics.DROPPED.labels(reason).inc()
        log.info("hot_cache_dropped", content_id=video_id, reason=reason, bytes=size)
        self._dropped[copy] = asyncio.ensure_future(self._remove(copy))

    async def _remove(self, copy: Copy) -> None:
        try:
            async with self._changing:
                await self.in_thread(partial(self._folder.remove, copy))
        except OSError as error:
            # It stays among those not to be served.
            log.error("hot_cache_failed", content_id=copy.manifest.video_id, error=str(error))
        else:
            del self._dropped[copy]

    def _checked(self, copy: Copy, done: asyncio.Task[bool]) -> None:
        self._checks.pop(copy, None)
        _take_note(done)

    def _note(self, *, is_away: bool) -> None:
        if is_away is not self._is_away:
            self._is_away = is_away
            log.warning("hot_cache_store_away" if is_away else "hot_cache_store_back")

    async def _open_copy(self, copy: Copy) -> HotFile | None:
        video_id = copy.manifest.video_id
        loop = asyncio.get_running_loop()
        try:
            number = await loop.run_in_executor(self._readers, self._folder.open, copy)
        except OSError as error:
            log.error("hot_cache_failed", content_id=video_id, error=str(error))
            number = None
        if number is None:
            if self._copies.get(video_id) == copy:
                del self._copies[video_id]
            return None
        file = HotFile(copy, Descriptor(number, self._closer), os.fstat(number), self._readers)
        if self._copies.get(video_id) == copy:
            self._open[video_id] = file
        return file

    def _let_go(self, video_id: str) -> None:
        if file := self._open.pop(video_id, None):
            file.revoke()
        self.on_release(video_id)

    def _look(self) -> tuple[dict[str, Copy], int, list[Evicted]]:
        self._folder.sweep()
        evicted = self._folder.shrink()
        return self._folder.copies(), self._folder.used_bytes(), evicted

    def _report(self, evicted: Iterable[Evicted]) -> None:
        for each in evicted:
            manifest = each.manifest
            known = self._copies.get(manifest.video_id)
            if known and known.manifest.key == manifest.key:
                del self._copies[manifest.video_id]
            metrics.EVICTED.inc()
            unused_sec = round(each.unused_sec, 1)
            log.info("hot_cache_evicted", content_id=manifest.video_id, bytes=manifest.size, unused_sec=unused_sec)


def _take_note(task: asyncio.Future[bool]) -> None:
    """A failure that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()
