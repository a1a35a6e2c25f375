"""Composition root of thumbnailer."""

from __future__ import annotations

import asyncio
import math

from kit.bus import Bus
from kit.bus.rabbit import RabbitBus
from kit.confinement import confinement_checks
from kit.health import Check, Health, broker_check
from kit.media import MediaStore
from kit.origins import Origins
from kit.rpc import GrpcServer
from kit.service import Role, Service, main
from kit.web.app import create_app
from services.thumbnailer import consumers
from services.thumbnailer.lanes import RULES
from services.thumbnailer.media.errors import StoreUnavailableError
from services.thumbnailer.media.inspection import Limits
from services.thumbnailer.media.originals import Originals
from services.thumbnailer.service import LaneScheduler, MediaProcessor
from services.thumbnailer.settings import ThumbnailerSettings

NAME = "thumbnailer"


def build(settings: ThumbnailerSettings, role: Role, shared_bus: Bus | None = None) -> Service:
    """Wire thumbnailer.

    Args:
        settings: its settings.
        role: which part of the service this process runs.
        shared_bus: the launcher's bus in embedded mode; a connection of its own otherwise.
    """
    bus = shared_bus or RabbitBus(settings.broker_url, service=NAME)
    store = MediaStore(settings.media_root)

    async def store_is_present() -> None:
        if not await asyncio.to_thread(store.is_present):
            raise StoreUnavailableError(str(store.root))

    origins = Origins(settings)
    confined = confinement_checks() if role.works else {}
    health = Health({"media": Check(store_is_present), "broker": broker_check(bus)} | confined)
    if role.works:
        limits, long_limits = (
            Limits(wall_sec=seconds, cpu_sec=math.ceil(seconds), memory_bytes=settings.job_memory_bytes)
            for seconds in (settings.job_wall_sec, settings.long_job_wall_sec)
        )
        scheduler = LaneScheduler(settings.slots, RULES)
        originals = Originals(store, origins, settings.import_dir, settings.staging_max_bytes)
        processor = MediaProcessor(store, originals, bus, limits, long_limits, scheduler)
        consumers.subscribe(bus, processor, settings.slots)
    service = Service(
        name=NAME,
        app=create_app(NAME, title="Marquee: artwork", health=health, authenticate=None, routers={}),
        health=health,
        grpc=GrpcServer(NAME, settings.grpc_bind),
        bus=None if shared_bus else bus,
    )
    service.resources.push_async_callback(origins.close)
    return service


if __name__ == "__main__":
    main(NAME, ThumbnailerSettings, build)
