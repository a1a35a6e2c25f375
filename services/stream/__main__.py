"""Composition root of stream."""

from __future__ import annotations

from functools import partial

import uvloop

from kit.auth_client import authenticator, follow_revocations, revocations
from kit.bus import Bus
from kit.bus.rabbit import RabbitBus
from kit.health import Check, Health, broker_check
from kit.http import create_app
from kit.origins import Origins
from kit.rpc import GrpcServer, connect
from kit.service import Loop, Role, Service, main
from services.stream.consumers import subscribe
from services.stream.http import HotPath, build_routers
from services.stream.rpc import StreamServicer, register
from services.stream.service import Streams
from services.stream.settings import StreamSettings
from services.stream.sources import SourceCache, ask_catalog
from services.stream.stores.places import places
from services.stream.traffic import Traffic
from services.stream.virtual import VirtualFiles

NAME = "stream"


def build(settings: StreamSettings, role: Role, shared_bus: Bus | None = None) -> Service:
    """Wires stream.

    Args:
        settings: its settings.
        role: which part of it this process plays.
        shared_bus: the launcher's bus in embedded mode; a connection of its own otherwise.
    """
    bus = shared_bus or RabbitBus(settings.broker_url, service=NAME)
    auth, catalog = connect(settings.auth_address), connect(settings.catalog_address)
    sources = SourceCache(ask_catalog(catalog), settings.source_cache_sec)
    origins = Origins(settings)
    store = places(settings, origins)
    virtual_files = VirtualFiles()
    streams, traffic = Streams(sources, store, virtual_files), Traffic()
    if role.answers:
        subscribe(bus, sources)
    health = Health({"media": Check(store.ping), "broker": broker_check(bus)})
    authenticate = authenticator(auth)
    background: list[Loop] = []
    if role.answers:
        background = [traffic.keep_published, partial(follow_revocations, revocations(auth), authenticate)]
    app = create_app(
        NAME,
        title="Marquee: streaming",
        health=health,
        authenticate=authenticate,
        routers=build_routers(streams, traffic),
    )
    service = Service(
        name=NAME,
        app=app,
        front=HotPath(app, authenticate=authenticate, streams=streams, traffic=traffic),
        health=health,
        grpc=GrpcServer(NAME, settings.grpc_bind, [partial(register, StreamServicer(traffic))]),
        bus=None if shared_bus else bus,
        background=background,
    )
    service.resources.push_async_callback(origins.close)
    service.resources.callback(store.close)
    service.resources.callback(virtual_files.close)
    for channel in (auth, catalog):
        service.resources.push_async_callback(channel.close)
    return service


if __name__ == "__main__":
    # Next to sendfile, asyncio's own loop is a tenth of what a small range costs.
    main(NAME, StreamSettings, build, loop_factory=uvloop.new_event_loop)
