"""Composition root of catalog."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

from kit.auth.client import authenticator, follow_revocations, revocations
from kit.bus import Bus
from kit.bus.rabbit import RabbitBus
from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.events.outbox_relay import outbox_relay
from kit.health import Check, Health, broker_check
from kit.media import MediaStore
from kit.origins import Origins
from kit.rpc import GrpcServer, connect
from kit.service import Loop, Role, Service, main
from kit.web.app import create_app
from services.catalog import consumers
from services.catalog.clients.auth import PlansClient
from services.catalog.http import build_routers, max_body_bytes
from services.catalog.rpc import CatalogServicer, register
from services.catalog.service import (
    ArtworkReader,
    HealthOverview,
    Imports,
    Processing,
    Purge,
    Sweep,
    VideoEditor,
    Videos,
)
from services.catalog.settings import CatalogSettings

NAME = "catalog"
MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: CatalogSettings, role: Role, shared_bus: Bus | None = None) -> Service:
    """Build catalog.

    Args:
        settings: its settings.
        role: which part of it this process runs.
        shared_bus: the launcher's bus in embedded mode; a connection of its own otherwise.
    """
    database = Database(settings.database_url)
    bus = shared_bus or RabbitBus(settings.broker_url, service=NAME)
    store = MediaStore(settings.media_root)
    auth = connect(settings.auth_address)
    peers = {
        "auth": auth,
        "stream": connect(settings.stream_address),
        "progress": connect(settings.progress_address),
        "thumbnailer": connect(settings.thumbnailer_address),
    }
    videos = Videos(database, store)
    origins = Origins(settings, only_probes=True)
    health = Health(
        {
            "database": Check(database.ping),
            "media": Check(partial(asyncio.to_thread, store.verify)),
            "broker": broker_check(bus),
        }
    )
    authenticate = authenticator(auth)
    background: list[Loop] = [partial(follow_revocations, revocations(auth), authenticate)] if role.answers else []
    if role.works:
        background += [outbox_relay(NAME, database, bus).run, Sweep(database, store).run]
        background.append(Purge(database, store, timedelta(days=settings.trash_retention_days)).run)
    app = create_app(
        NAME,
        title="Marquee: what there is to watch",
        health=health,
        authenticate=authenticate,
        routers=build_routers(
            videos,
            VideoEditor(database, PlansClient(auth)),
            Imports(videos, origins, settings.import_dir),
            HealthOverview(health, peers),
            ArtworkReader(videos, store),
            store,
            uploads=settings.uploads,
            upload_max_bytes=settings.upload_max_bytes,
        ),
        max_body_bytes=max_body_bytes,
    )
    if role.works:
        consumers.subscribe(bus, database, Processing(store))
    service = Service(
        name=NAME,
        app=app,
        health=health,
        grpc=GrpcServer(NAME, settings.grpc_bind, [partial(register, CatalogServicer(videos))]),
        bus=None if shared_bus else bus,
        prepare=[database.require_migrated, partial(asyncio.to_thread, store.prepare)],
        background=background,
    )
    for channel in peers.values():
        service.resources.push_async_callback(channel.close)
    service.resources.push_async_callback(origins.close)
    service.resources.push_async_callback(database.close)
    return service


def migrate(settings: CatalogSettings) -> None:
    """Bring catalog's database up to date."""
    upgrade(MIGRATIONS, settings.database_url)


if __name__ == "__main__":
    main(NAME, CatalogSettings, build, migrate)
