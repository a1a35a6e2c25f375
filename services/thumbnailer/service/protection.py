"""Use case of thumbnailer: make the LSV pack of a film."""

from __future__ import annotations

from uuid import UUID

import structlog

from services.thumbnailer.clients.stream import ContentKeys
from services.thumbnailer.media.artwork_store import ArtworkStore
from services.thumbnailer.media.inspection import Limits
from services.thumbnailer.media.originals import Originals
from services.thumbnailer.media.packing.pack import PresentPack
from services.thumbnailer.media.packing.packer import FilmPacker
from services.thumbnailer.results import PACK, Pack
from services.thumbnailer.service.job import Job

log = structlog.get_logger()


class FilmProtector:
    """Packs films into the media store.

    Args:
        artwork: where packs go.
        originals: finds the films.
        keys: the content keys.
        limits: time and memory of the child that remuxes.
    """

    def __init__(self, artwork: ArtworkStore, originals: Originals, keys: ContentKeys, limits: Limits) -> None:
        self._artwork = artwork
        self._originals = originals
        self._keys = keys
        self._limits = limits

    async def protect(self, job: Job, folder: str, niceness: int) -> Pack:
        """Have the pack of a film in a folder of the media store. An interrupted attempt goes on.

        Args:
            job: with the film, or its present pack where the film is gone, and the asset that its pack becomes.
            folder: reference of the pack's folder.
            niceness: of the child.

        Raises:
            MediaError: it can't be packed, or not now.
            StoreUnavailableError: the film, or the disk for staging, can't be used now.
        """
        key = await self._keys.issue(job.video_id, job.pack_asset_id)
        limits = self._limits.with_niceness(niceness)
        workspace = self._artwork.workspace(folder)
        packer = FilmPacker(workspace, key, UUID(job.video_id), job.content_version, limits)
        # The job may have ended before, without that the broker knows: the source may be gone by now.
        pack = await packer.find()
        if pack is None:
            present = await self._present(job)
            async with self._originals.provide(job.reference) as original:
                if not original.is_whole:
                    await self._originals.complete(original)
                if present is None:
                    pack = await packer.pack(original.path, original.opener)
                else:
                    pack = await packer.repack(original.path, present)
        await self._artwork.keep_file(workspace / PACK, f"{folder}/{PACK}")
        log.info("film_packed", content_id=job.video_id, bytes=pack.size_bytes)
        return pack

    async def _present(self, job: Job) -> PresentPack | None:
        """Return what opens the pack that a job has made anew; None where it packs a film."""
        if not job.present_pack_asset_id:
            return None
        key = await self._keys.issue(job.video_id, job.present_pack_asset_id)
        return PresentPack(key, job.present_content_version)
