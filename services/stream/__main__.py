"""Composition root of stream."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path

import uvloop
from starlette.types import ASGIApp

from kit.auth.client import ListRevocations, Revocations, authenticator, follow_revocations, revocations
from kit.bus import Bus
from kit.bus.rabbit import RabbitBus
from kit.confinement import confinement_checks
from kit.db.migrations import upgrade
from kit.health import Check, Health, broker_check
from kit.origins import Origins
from kit.rpc import GrpcServer, connect
from kit.service import Loop, Role, Service, main
from kit.web.app import create_app
from services.stream.clients.catalog import source_fetcher
from services.stream.clients.display_names import display_names, titles
from services.stream.clients.progress import view_counter
from services.stream.consumers import subscribe, subscribe_accounts, subscribe_protection
from services.stream.delivery.transfers import Traffic
from services.stream.fastpath import FastPathApp, FastPathCaches, MinimalRoute
from services.stream.hotcache import build_hot_cache
from services.stream.http import MediaRoutes, SharedMedia, StreamAuthenticator, build_routers, shared_headers
from services.stream.protection.factory import build_protection
from services.stream.rpc import StreamServicer, register
from services.stream.service import Streams
from services.stream.sessions import SessionRegistry, Sessions, SessionStatistics, event_log, ticket_key
from services.stream.sessions.accepting import accepting_probe
from services.stream.sessions.tickets import TICKET_SEC, Tickets
from services.stream.settings import StreamSettings
from services.stream.slots import Limits, SlotStore
from services.stream.slots.memory import REPLICA, MemorySlots
from services.stream.slots.redis import RedisSlots
from services.stream.slots.relay import slots_relay
from services.stream.sources import RedisSources, SourceCache
from services.stream.storage.port import Store
from services.stream.storage.router import build_store, is_mounted
from services.stream.storage.virtual_file_cache import VirtualFiles

NAME = "stream"
MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: StreamSettings, role: Role, shared_bus: Bus | None = None) -> Service:
    """Wire stream.

    Args:
        settings: its settings.
        role: what this process does: answer requests, work in the background, or both.
        shared_bus: the launcher's bus in embedded mode; a connection of its own otherwise.
    """
    bus = shared_bus or RabbitBus(settings.broker_url, service=NAME)
    auth, catalog = connect(settings.auth_address), connect(settings.catalog_address)
    progress = connect(settings.progress_address)
    shared_sources = None
    if settings.redis_url and settings.source_cache_sec:
        shared_sources = RedisSources(settings.redis_url, settings.source_cache_sec)
    sources = SourceCache(source_fetcher(catalog), settings.source_cache_sec, shared=shared_sources)
    origins = Origins(settings)
    originals = build_store(settings, origins)
    views = view_counter(progress, settings.hot_cache_days)
    hot = build_hot_cache(settings, originals, sources.get, views) if role.answers else None
    store: Store = hot.store if hot else originals
    virtual_files = VirtualFiles()
    streams = Streams(sources, store, virtual_files, is_mounted(settings))
    if hot:
        hot.store.on_release = streams.release
    slots, replica = _slots(settings)
    registry, tickets = SessionRegistry(slots, replica), Tickets(ticket_key.load(settings.ticket_key_file))
    sessions, statistics = Sessions(slots, registry, tickets), SessionStatistics(slots.limits.tick_sec)
    traffic = Traffic(registry.fail)
    accounts = authenticator(auth)
    stream_authenticator = StreamAuthenticator(accounts, tickets)
    video_titles, names = titles(catalog), display_names(auth)
    protection = build_protection(settings, role, bus, names.of)
    # With hot copies, films can be served while the media store is away.
    checks = {"media": Check(store.ping, required=hot is None), "broker": broker_check(bus)} | _confinement(role)
    if settings.redis_url:
        # Playing sessions go on without Redis, which needs a replica that is ready.
        checks |= {
            "redis": Check(slots.ping, required=False),
            "slots": Check(accepting_probe(slots), required=False),
        }
    health = Health(checks | protection.checks)
    background: list[Loop] = list(protection.loops)
    shutdown_hooks: list[Callable[[], Awaitable[object]]] = []
    if role.answers:
        subscribe(bus, sources, hot.store if hot else None)
        list_revocations = partial(_apply_revocations, revocations(auth), stream_authenticator, sessions)
        background += [
            traffic.keep_published,
            registry.keep_renewed,
            partial(follow_revocations, list_revocations, accounts),
        ]
        shutdown_hooks.append(registry.flush)
    if role.works:
        subscribe_accounts(bus, sessions)
        subscribe_protection(bus, protection.database)
        # Progress counts views, auth keeps the audit log: events that precede their queues have to wait.
        relay = slots_relay(slots, bus, on_sent=event_log.write)
        background.append(relay.run)
        if isinstance(slots, MemorySlots):
            shutdown_hooks = [registry.end_all, relay.relay]
    media = MediaRoutes(streams, sessions, traffic, video_titles)
    routers = build_routers(
        media,
        streams,
        sessions,
        statistics,
        tickets=tickets,
        titles=video_titles,
        display_names=names,
        protection=protection.use_cases,
        public_url=settings.stream_public_url,
    )
    app = create_app(
        NAME, title="Marquee: streaming", health=health, authenticate=stream_authenticator, routers=routers
    )
    service = Service(
        name=NAME,
        app=app,
        outer_app=_outer_app(
            settings,
            app,
            MinimalRoute(NAME, media, stream_authenticator),
            FastPathCaches(stream_authenticator, registry, streams),
            traffic,
        ),
        health=health,
        grpc=GrpcServer(
            NAME, settings.grpc_bind, [partial(register, StreamServicer(protection.use_cases.content_keys))]
        ),
        bus=None if shared_bus else bus,
        prepare=[*([hot.prepare] if hot else ()), *protection.prepare],
        background=[*background, *(hot.loops if hot else ())],
        shutdown_hooks=shutdown_hooks,
    )
    for close in (store.close, virtual_files.close):
        service.resources.callback(close)
    for resource in (origins, shared_sources, auth, catalog, progress, slots, protection.database):
        if resource:
            service.resources.push_async_callback(resource.close)
    return service


def migrate(settings: StreamSettings) -> None:
    """Upgrade stream's database to the newest revision; do nothing where it has none."""
    if settings.database_url:
        upgrade(MIGRATIONS, settings.database_url)


def _outer_app(
    settings: StreamSettings, app: ASGIApp, minimal_route: MinimalRoute, caches: FastPathCaches, traffic: Traffic
) -> ASGIApp:
    """Return the application, with the fast path for requests for bytes in front of it if the settings say so."""
    headers = shared_headers(settings.stream_public_url)
    shared = SharedMedia(app, headers)
    if not settings.fast_path:
        return shared
    return FastPathApp(shared, minimal_route, caches=caches, traffic=traffic, shared_headers=headers)


def _confinement(role: Role) -> dict[str, Check]:
    """Return checks of the confinement of the processes that build virtual files, where there are any."""
    return confinement_checks() if role.answers else {}


def _slots(settings: StreamSettings) -> tuple[SlotStore, str]:
    """Return the store of the slots, and the name of this process there."""
    limits = Limits(
        platform=settings.max_streams,
        per_user=settings.max_streams_per_user,
        queue=settings.stream_queue,
        idle_sec=settings.session_idle_sec,
        tombstone_sec=TICKET_SEC + settings.session_idle_sec,
    )
    if settings.redis_url is None:
        return MemorySlots(limits), REPLICA
    replica = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    return RedisSlots(settings.redis_url, limits, replica=replica), replica


async def _apply_revocations(
    list_revocations: ListRevocations,
    media_authenticator: StreamAuthenticator,
    sessions: Sessions,
    since: datetime | None,
) -> Revocations:
    """Return what auth has revoked, after applying it to tickets and play sessions."""
    revoked = await list_revocations(since)
    media_authenticator.revoke(revoked)
    for login_session_id in revoked.login_session_ids:
        sessions.stop_login(login_session_id)
    return revoked


if __name__ == "__main__":
    # asyncio's own loop would add a tenth to the cost of a small range, which is otherwise mostly sendfile.
    main(NAME, StreamSettings, build, migrate, loop_factory=uvloop.new_event_loop)
