"""A process that uses a folder of hot copies, to be run beside others and killed.

python hot_cache_process.py promote FOLDER BUDGET NAS BYTES_PER_SEC FILM...   copies films, again and again
python hot_cache_process.py read FOLDER FILM                                  opens a copy, says so, and holds on to it
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.stream.domain import Source
from services.stream.hotcache import CopyDirectory, HotStore, Promoter, promoter
from services.stream.hotcache.store import WantedCopy
from services.stream.storage.local import own_folder


def a_source(video_id: str) -> Source:
    """The source of a film that lies below its id."""
    return Source(
        asset_id=video_id,
        kind="source",
        video_id=video_id,
        reference=video_id,
        size_bytes=0,
        mime_type="video/mp4",
        duration_sec=1,
        video_codec="H.264",
        audio_codec="",
        width=1,
        height=1,
        bitrate_bps=1,
        version=1,
        corporation_id="",
    )


async def promote(root: Path, budget: int, nas: Path, bytes_per_sec: int, films: Sequence[str]) -> None:
    """Wants and copies films in any order until the process is ended; one for which there is no room has to wait."""
    promoter.SETTLE_SEC = promoter.REST_SEC = 0
    store = HotStore(own_folder(nas, 2), CopyDirectory(root, budget), is_deleted=lambda _: False)

    async def find(video_id: str) -> Source:
        return a_source(video_id)

    async def views(video_ids: Sequence[str]) -> Mapping[str, int]:
        return dict.fromkeys(video_ids, random.randrange(5, 100))

    feeder = Promoter(store, find, views, min_views=5, bytes_per_sec=bytes_per_sec)
    await store.prepare()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        await store.refresh()
        store.wanted.update({film: WantedCopy(film, asyncio.get_running_loop().time()) for film in films})
        await feeder.promote_some()


def read(root: Path, video_id: str) -> None:
    """Holds a copy open until the process is ended."""
    folder = CopyDirectory(root, 2**40)
    copy = next(copy for copy in folder.copies().values() if copy.manifest.video_id == video_id)
    if folder.open(copy) is not None:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    _, action, place, *rest = sys.argv
    if action == "read":
        read(Path(place), rest[0])
    else:
        asyncio.run(promote(Path(place), int(rest[0]), Path(rest[1]), int(rest[2]), rest[3:]))
