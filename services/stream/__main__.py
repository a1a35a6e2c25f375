"""Composition root of stream."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

import uvloop
from starlette.types import ASGIApp

from kit.audit import ADMIN_ACTED
from kit.auth.client import ListRevocations, Revocations, authenticator, follow_revocations, revocations
from kit.bus import Bus
from kit.bus.rabbit import RabbitBus
from kit.confinement import confinement_checks
from kit.health import Check, Health, broker_check
from kit.origins import Origins
from kit.rpc import GrpcServer, connect
from kit.service import Loop, Role, Service, main
from kit.web.app import create_app
from services.stream.clients.display_names import display_names, titles
from services.stream.consumers import subscribe, subscribe_accounts
from services.stream.delivery.transfers import Traffic
from services.stream.fastpath import FastPathApp, FastPathCaches, MinimalRoute
from services.stream.hotcache import build_hot_cache
from services.stream.http import MediaRoutes, SharedMedia, StreamAuthenticator, build_routers, shared_headers
from services.stream.service import Streams
from services.stream.sessions import SessionRegistry, Sessions, SessionStatistics, event_log, ticket_key
from services.stream.sessions.tickets import TICKET_SEC, Tickets
from services.stream.settings import StreamSettings
from services.stream.slots import Limits, SlotStore
from services.stream.slots.events import STARTED
from services.stream.slots.memory import REPLICA, MemorySlots
from services.stream.slots.redis import RedisSlots
from services.stream.slots.relay import SlotsRelay
from services.stream.sources import RedisSources, SourceCache, source_fetcher
from services.stream.storage.port import Store
from services.stream.storage.router import build_store, is_mounted
from services.stream.storage.virtual_file_cache import VirtualFiles

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
    progress = connect(settings.progress_address)
    known_to_all = None
    if settings.redis_url and settings.source_cache_sec:
        known_to_all = RedisSources(settings.redis_url, settings.source_cache_sec)
    sources = SourceCache(source_fetcher(catalog), settings.source_cache_sec, shared=known_to_all)
    origins = Origins(settings)
    originals = build_store(settings, origins)
    hot = build_hot_cache(settings, originals, sources.get, progress) if role.answers else None
    store: Store = hot.store if hot else originals
    virtual_files = VirtualFiles()
    streams = Streams(sources, store, virtual_files, is_mounted(settings))
    if hot:
        hot.store.on_release = streams.release
    slots, replica = _slots(settings)
    register, tickets = SessionRegistry(slots, replica), Tickets(ticket_key.load(settings.ticket_key_file))
    sessions, overview = Sessions(slots, register, tickets), SessionStatistics(slots.limits.tick_sec)
    traffic = Traffic(register.fail)
    accounts = authenticator(auth)
    viewers = StreamAuthenticator(accounts, tickets)
    # With hot copies there is something to serve while the media store is away.
    checks = {"media": Check(store.ping, required=hot is None), "broker": broker_check(bus)} | _confinement(role)
    if settings.redis_url:
        # What is playing goes on without it, which needs a replica that is ready.
        checks["redis"] = Check(slots.ping, required=False)
    health = Health(checks)
    background: list[Loop] = []
    parting: list[Callable[[], Awaitable[object]]] = []
    if role.answers:
        subscribe(bus, sources, hot.store if hot else None)
        told = partial(_pass_on, revocations(auth), viewers, sessions)
        background += [traffic.keep_published, register.keep_renewed, partial(follow_revocations, told, accounts)]
        parting.append(register.flush)
    if role.works:
        subscribe_accounts(bus, sessions)
        # Progress counts views, auth keeps the audit log: what comes before their queues are there has to wait.
        relay = SlotsRelay(slots, bus, required=(STARTED, ADMIN_ACTED), told=event_log.write)
        background.append(relay.run)
        if isinstance(slots, MemorySlots):
            parting = [register.end_all, relay.relay]
    known_titles = titles(catalog)
    media = MediaRoutes(streams, sessions, traffic, known_titles)
    routers = build_routers(
        media,
        streams,
        sessions,
        overview,
        tickets=tickets,
        titles=known_titles,
        display_names=display_names(auth),
        public_url=settings.stream_public_url,
    )
    app = create_app(NAME, title="Marquee: streaming", health=health, authenticate=viewers, routers=routers)
    service = Service(
        name=NAME,
        app=app,
        front=_front(
            settings, app, MinimalRoute(NAME, media, viewers), FastPathCaches(viewers, register, streams), traffic
        ),
        health=health,
        grpc=GrpcServer(NAME, settings.grpc_bind, []),
        bus=None if shared_bus else bus,
        prepare=[hot.prepare] if hot else (),
        background=[*background, *(hot.loops if hot else ())],
        parting=parting,
    )
    for close in (store.close, virtual_files.close):
        service.resources.callback(close)
    for part in (origins, known_to_all, auth, catalog, progress, slots):
        if part:
            service.resources.push_async_callback(part.close)
    return service


def _front(
    settings: StreamSettings, app: ASGIApp, direct: MinimalRoute, known: FastPathCaches, traffic: Traffic
) -> ASGIApp:
    """The application with the short way for requests for bytes in front of it, if that is wanted."""
    headers = shared_headers(settings.stream_public_url)
    shared = SharedMedia(app, headers)
    if not settings.fast_path:
        return shared
    return FastPathApp(shared, direct, known=known, traffic=traffic, shared_headers=headers)


def _confinement(role: Role) -> dict[str, Check]:
    """How the processes that build virtual files are confined, where there are any."""
    return confinement_checks() if role.answers else {}


def _slots(settings: StreamSettings) -> tuple[SlotStore, str]:
    """The store of the slots, and what this process is called there."""
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


async def _pass_on(
    ask_auth: ListRevocations, viewers: StreamAuthenticator, sessions: Sessions, since: datetime | None
) -> Revocations:
    """What auth has revoked, which tickets and sessions must hear of, too."""
    revoked = await ask_auth(since)
    viewers.revoke(revoked)
    for login_id in revoked.session_ids:
        sessions.stop_login(login_id)
    return revoked


if __name__ == "__main__":
    # Next to sendfile, asyncio's own loop is a tenth of what a small range costs.
    main(NAME, StreamSettings, build, loop_factory=uvloop.new_event_loop)
