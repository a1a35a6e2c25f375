"""Composition root of progress."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from kit.auth.client import authenticator, follow_revocations, revocations
from kit.bus import Bus
from kit.bus.rabbit import RabbitBus
from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.events.outbox_relay import outbox_relay
from kit.health import Health, broker_check
from kit.rpc import GrpcServer, connect
from kit.service import Loop, Role, Service, main
from kit.web.app import create_app
from services.progress.clients.auth import AuthClient
from services.progress.clients.catalog import CatalogClient
from services.progress.consumers import subscribe
from services.progress.http import build_routers
from services.progress.rpc import ProgressServicer, register
from services.progress.service import Bookmarks, History, Homes, Points, Recorder, ViewLog, Views
from services.progress.service.retention import Retention
from services.progress.settings import ProgressSettings

NAME = "progress"
MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: ProgressSettings, role: Role, shared_bus: Bus | None = None) -> Service:
    """Wire progress.

    Args:
        settings: settings of the service.
        role: which part of the service this process runs.
        shared_bus: the launcher's bus in embedded mode; None opens a connection.
    """
    database = Database(settings.database_url)
    bus = shared_bus or RabbitBus(settings.broker_url, service=NAME)
    to_auth = connect(settings.auth_address)
    to_catalog = connect(settings.catalog_address)
    catalog, accounts = CatalogClient(to_catalog), AuthClient(to_auth)
    history, views = History(database, catalog), Views(database)
    bookmarks, homes = Bookmarks(database, catalog), Homes(database, least=settings.co_watched_least)
    recorder = Recorder(database, catalog)
    points = Points(database, accounts, per_view=settings.points_per_view)
    view_log = ViewLog(database, points, views, catalog, accounts, days=settings.view_log_days)
    if role.works:
        subscribe(bus, database, view_log)

    health = Health(database.checks() | {"broker": broker_check(bus)})
    authenticate = authenticator(to_auth)
    background: list[Loop] = [partial(follow_revocations, revocations(to_auth), authenticate)] if role.answers else []
    if role.works:
        background += [
            outbox_relay(NAME, database, bus).run,
            views.trim_periodically,
            view_log.trim_periodically,
            points.check_periodically,
            Retention(database, progress_days=settings.watch_progress_days, ledger_days=settings.point_ledger_days).run,
        ]
    app = create_app(
        NAME,
        title="Marquee: watch progress, history and points",
        health=health,
        authenticate=authenticate,
        routers=build_routers(recorder, history, points, view_log, bookmarks),
    )
    service = Service(
        name=NAME,
        app=app,
        health=health,
        grpc=GrpcServer(NAME, settings.grpc_bind, [partial(register, ProgressServicer(views, homes))]),
        bus=None if shared_bus else bus,
        prepare=[database.require_migrated],
        background=background,
    )
    service.resources.push_async_callback(database.close)
    service.resources.push_async_callback(to_auth.close)
    service.resources.push_async_callback(to_catalog.close)
    service.resources.push_async_callback(homes.close)
    service.resources.push_async_callback(recorder.close)
    return service


def migrate(settings: ProgressSettings) -> None:
    """Upgrade progress's database to the newest revision."""
    upgrade(MIGRATIONS, settings.database_url)


if __name__ == "__main__":
    main(NAME, ProgressSettings, build, migrate)
