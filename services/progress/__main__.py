"""Composition root of progress."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from kit.audit import ADMIN_ACTED
from kit.auth.client import authenticator, follow_revocations, revocations
from kit.bus import Bus
from kit.bus.rabbit import RabbitBus
from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.events.outbox import Relay
from kit.health import Check, Health, broker_check
from kit.rpc import GrpcServer, connect
from kit.service import Loop, Role, Service, main
from kit.web.app import create_app
from services.progress.clients.auth import PeopleClient
from services.progress.clients.catalog import CatalogClient
from services.progress.consumers import subscribe
from services.progress.http import build_routers
from services.progress.rpc import ProgressServicer, register
from services.progress.service import History, Points, Recorder, ViewLog, Views
from services.progress.settings import ProgressSettings

NAME = "progress"
MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: ProgressSettings, role: Role, shared_bus: Bus | None = None) -> Service:
    """Wires progress.

    Args:
        settings: its settings.
        role: which part of it this process plays.
        shared_bus: the launcher's bus in embedded mode; a connection of its own otherwise.
    """
    database = Database(settings.database_url)
    bus = shared_bus or RabbitBus(settings.broker_url, service=NAME)
    to_auth = connect(settings.auth_address)
    to_catalog = connect(settings.catalog_address)
    catalog, people = CatalogClient(to_catalog), PeopleClient(to_auth)
    history, views = History(database, catalog), Views(database)
    points = Points(database, people, per_view=settings.points_per_view)
    view_log = ViewLog(database, points, views, catalog, people)
    if role.works:
        subscribe(bus, database, view_log)

    health = Health({"database": Check(database.ping), "broker": broker_check(bus)})
    authenticate = authenticator(to_auth)
    background: list[Loop] = [partial(follow_revocations, revocations(to_auth), authenticate)] if role.answers else []
    if role.works:
        background += [Relay(NAME, database, bus, required=(ADMIN_ACTED,)).run, views.keep_trimmed, points.keep_checked]
    app = create_app(
        NAME,
        title="Marquee: watch progress, history and points",
        health=health,
        authenticate=authenticate,
        routers=build_routers(Recorder(database, catalog), history, points, view_log),
    )
    service = Service(
        name=NAME,
        app=app,
        health=health,
        grpc=GrpcServer(NAME, settings.grpc_bind, [partial(register, ProgressServicer(views))]),
        bus=None if shared_bus else bus,
        prepare=[database.require_migrated],
        background=background,
    )
    service.resources.push_async_callback(database.close)
    service.resources.push_async_callback(to_auth.close)
    service.resources.push_async_callback(to_catalog.close)
    return service


def migrate(settings: ProgressSettings) -> None:
    """Brings progress's database up to date."""
    upgrade(MIGRATIONS, settings.database_url)


if __name__ == "__main__":
    main(NAME, ProgressSettings, build, migrate)
