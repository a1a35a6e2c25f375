"""A store of hot copies with a promoter and a janitor, over a folder of films."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from kit.errors import ApiError, ErrorCode
from services.stream.delivery.representation import Representation
from services.stream.domain import Source
from services.stream.hotcache import CopyDirectory, HotStore, Janitor, Promoter
from services.stream.storage.local import own_folder
from services.stream.storage.port import StoredFile
from services.stream.tests.support import a_source, open_below, until
from services.stream.tests.unit.hotcache.support import FILMS, MIB, names

ANN, BOB, *_ = FILMS
FAST = 10**12


class Originals:
    """A store that can be taken away, or hang."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_away = False
        self.opened = 0
        self._store = own_folder(root, 2)

    async def open(self, source: Source) -> StoredFile:
        self.opened += 1
        await self.answers.wait()
        if self.is_away:
            raise OSError("stale file handle")
        return await self._store.open(source)

    async def ping(self) -> None:
        await self._store.ping()

    def close(self) -> None:
        self._store.close()


class Bench:
    """A hot store, what is behind it and what feeds it."""

    def __init__(self, folder: Path, budget: int = 100 * MIB) -> None:
        self.hot_root, self.root = folder / "hot", folder / "nas"
        self.root.mkdir(exist_ok=True)
        self.originals = Originals(self.root)
        self.folder = CopyDirectory(self.hot_root, budget)
        self.store = HotStore(self.originals, self.folder, is_deleted=lambda _: self.is_mounted)
        self.is_mounted = True
        self.sources: dict[str, Source] = {}
        self.views: dict[str, int] = {}
        self.asked: list[list[str]] = []
        self.released: list[str] = []
        self.store.on_release = self.released.append
        self.promoter = Promoter(self.store, self.find, self.count, min_views=5, bytes_per_sec=FAST)
        self.keeper = Janitor(self.store, self.find)

    async def find(self, video_id: str) -> Source:
        if video_id not in self.sources:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        return self.sources[video_id]

    async def count(self, video_ids: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(list(video_ids))
        return self.views

    def film(self, video_id: str, content: bytes, *, views: int = 5, version: int = 1) -> Source:
        """Puts a film on the store, and tells of it."""
        (self.root / video_id).write_bytes(content)
        self.views[video_id] = views
        source = self.sources[video_id] = a_source(video_id=video_id, reference=video_id, version=version)
        return source

    async def promoted(self, video_id: str, content: bytes) -> Source:
        """A film with a hot copy."""
        source = self.film(video_id, content)
        assert (await self.store.open(source)).tier == "nas"
        await self.promoter.promote_some()
        assert (await self.store.open(source)).tier == "ssd"
        return source


def copied(hot: HotStore) -> set[str]:
    """Return the videos that have a copy."""
    return {copy.manifest.video_id for copy in hot.copies.values()}


async def emptied(bench: Bench) -> bool:
    """Whether nothing is left in the folder once the last reader has let go."""
    await until(lambda: open_below(bench.hot_root) == [])
    await bench.store.refresh()
    return names(bench.hot_root) == set()


async def content(file: StoredFile) -> bytes:
    return b"".join([block async for block in file.blocks(0, file.size)])


def etag(source: Source, file: StoredFile) -> str:
    return Representation(source, file).validators().etag


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")
