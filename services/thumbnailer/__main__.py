"""Composition root of thumbnailer."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial

from kit.bus import Bus
from kit.bus.rabbit import RabbitBus
from kit.confinement import confinement_checks
from kit.health import Check, Health, broker_check
from kit.media import MediaStore
from kit.media_store import BucketStore
from kit.origins import Origins
from kit.rpc import GrpcServer, connect
from kit.service import Role, Service, main
from kit.web.app import create_app
from services.thumbnailer import consumers
from services.thumbnailer.clients.stream import StreamKeys
from services.thumbnailer.lanes import RULES
from services.thumbnailer.media.artwork_store import ArtworkStore, BucketArtwork, FolderArtwork, clear_workspaces
from services.thumbnailer.media.inspection import Limits
from services.thumbnailer.media.originals import Originals
from services.thumbnailer.service import FilmProtector, LaneScheduler, MediaProcessor
from services.thumbnailer.settings import ThumbnailerSettings

NAME = "thumbnailer"
ABANDONED_AFTER_SEC = 3600.0
"""Longer than any job may take."""
RESUMED_WITHIN_SEC = 86_400.0
"""How long what an interrupted packer left is kept."""


def build(settings: ThumbnailerSettings, role: Role, shared_bus: Bus | None = None) -> Service:
    """Wire thumbnailer.

    Args:
        settings: its settings.
        role: which part of the service this process runs.
        shared_bus: the launcher's bus in embedded mode; a connection of its own otherwise.
    """
    bus = shared_bus or RabbitBus(settings.broker_url, service=NAME)
    origins = Origins(settings)
    stream = connect(settings.stream_address)
    bucket = settings.media_bucket
    store = MediaStore(settings.staging_root)
    artwork: ArtworkStore = FolderArtwork(store)
    if bucket:
        artwork = BucketArtwork(BucketStore(origins.bucket(bucket.bucket), bucket.key), store)
    confined = confinement_checks() if role.works else {}
    health = Health({"media": Check(artwork.verify), "broker": broker_check(bus)} | confined)
    if role.works:
        limits, long_limits, protect_limits = (
            Limits(wall_sec=seconds, cpu_sec=math.ceil(seconds), memory_bytes=settings.job_memory_bytes)
            for seconds in (settings.job_wall_sec, settings.long_job_wall_sec, settings.protect_wall_sec)
        )
        scheduler = LaneScheduler(settings.slots, RULES)
        originals = Originals(store, origins, settings.import_dir, settings.staging_max_bytes, bucket)
        protector = FilmProtector(artwork, originals, StreamKeys(stream), protect_limits)
        processor = MediaProcessor(artwork, originals, bus, limits, long_limits, scheduler, protector)
        consumers.subscribe(bus, processor, settings.slots)
    service = Service(
        name=NAME,
        app=create_app(NAME, title="Marquee: artwork", health=health, authenticate=None, routers={}),
        health=health,
        grpc=GrpcServer(NAME, settings.grpc_bind),
        bus=None if shared_bus else bus,
        prepare=[partial(prepare_staging, store)] if role.works and bucket else [],
    )
    service.resources.push_async_callback(stream.close)
    service.resources.push_async_callback(origins.close)
    return service


async def prepare_staging(store: MediaStore) -> None:
    """Make the folder for staging, and remove what a crash left there. Raises OSError when it can't be written."""
    await asyncio.to_thread(store.prepare)
    await asyncio.to_thread(store.clear_incoming, time.time() - ABANDONED_AFTER_SEC)
    await asyncio.to_thread(clear_workspaces, store, time.time() - RESUMED_WITHIN_SEC)


if __name__ == "__main__":
    main(NAME, ThumbnailerSettings, build)
