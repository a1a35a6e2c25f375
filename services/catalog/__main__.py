"""Composition root of catalog."""

from __future__ import annotations

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
from kit.media_store import BucketStore, FolderStore, WritableStore
from kit.origins import Origins
from kit.rpc import GrpcServer, connect
from kit.service import Loop, Role, Service, main
from kit.settings import SettingsError
from kit.web.app import create_app
from services.catalog import consumers
from services.catalog.clients.auth import PlansClient
from services.catalog.clients.progress import ViewingClient
from services.catalog.domain import JobKind
from services.catalog.file_titles import TITLES, parse_dictionary
from services.catalog.highlights.http import build_router as highlights_router
from services.catalog.highlights.service import Highlights
from services.catalog.home import consumers as home_consumers
from services.catalog.home.domain import parse_rows
from services.catalog.home.http import build_router as home_router
from services.catalog.home.service import HomePage
from services.catalog.http import build_routers, max_body_bytes
from services.catalog.http.tus import TusProtocol
from services.catalog.rpc import CatalogServicer, register
from services.catalog.schemas import encode_card
from services.catalog.series.http import build_router as series_router
from services.catalog.series.service import SeriesLibrary
from services.catalog.service import (
    Admission,
    ArtworkReader,
    HealthOverview,
    Imports,
    Limits,
    Processing,
    Purge,
    ResumableUploads,
    Search,
    SearchIndexer,
    Sweep,
    UploadSweep,
    VideoEditor,
    Videos,
)
from services.catalog.service.answers import Answers
from services.catalog.service.cards import Cards
from services.catalog.service.dead_letters import DeadLetters
from services.catalog.service.import_tree import ImportTree
from services.catalog.service.jobs import JobRunner, Jobs
from services.catalog.service.protection import PackIntake, Protection
from services.catalog.service.reprocessing import reprocess
from services.catalog.service.scans import Scans, ScanSchedule
from services.catalog.service.subtitles import Subtitles
from services.catalog.settings import CatalogSettings
from services.catalog.titles.domain import parse_templates
from services.catalog.titles.http import build_router as titles_router
from services.catalog.titles.service import Titles
from services.catalog.uploads.bucket_parts import BucketParts
from services.catalog.uploads.folder_parts import FolderParts
from services.catalog.uploads.part_store import PartStore
from services.catalog.watchlist import consumers as watchlist_consumers
from services.catalog.watchlist.http import build_router as watchlist_router
from services.catalog.watchlist.service import Watchlists

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
    origins = Origins(settings, only_probes=True)
    store, parts = _stores(settings, origins)
    auth = connect(settings.auth_address)
    peers = {
        "auth": auth,
        "stream": connect(settings.stream_address),
        "progress": connect(settings.progress_address),
        "thumbnailer": connect(settings.thumbnailer_address),
    }
    cards = Cards(encode_card)
    videos = Videos(database, store, cards, settings.duplicates)
    admission = Admission(database, store, Limits(settings.upload_max_bytes, settings.corporation_quota_bytes))
    resumable = ResumableUploads(
        database,
        parts,
        admission,
        duplicates=settings.duplicates,
        expiry=timedelta(hours=settings.upload_expiry_hours),
    )
    subtitles = Subtitles(database, store)
    jobs = Jobs(database)
    TITLES.learn(_dictionary(settings.title_dictionary))
    home = HomePage(database, ViewingClient(peers["progress"]), parse_rows(settings.home_rows), cards)
    highlights = Highlights(database, cards)

    def forget() -> None:
        home.forget()
        videos.forget()
        highlights.forget()

    answers = Answers(database, settings.answers_max_bytes, forget)
    health = Health(database.checks() | {"media": Check(store.verify), "broker": broker_check(bus)})
    authenticate = authenticator(auth)
    background: list[Loop] = [partial(follow_revocations, revocations(auth), authenticate)] if role.answers else []
    if role.works:
        background += [outbox_relay(NAME, database, bus).run, Sweep(database, store).run]
        background.append(UploadSweep(database, parts).run)
        background.append(JobRunner(database, JobKind.REPROCESS, reprocess).run)
        tree = ImportTree(database, settings.import_dir, subtitles)
        background.append(JobRunner(database, JobKind.IMPORT, tree.run).run)
        if settings.import_scan_hours:
            background.append(ScanSchedule(database, timedelta(hours=settings.import_scan_hours)).run)
        background.append(SearchIndexer(database).run)
        background.append(Purge(database, store, timedelta(days=settings.trash_retention_days)).run)
    app = create_app(
        NAME,
        title="Marquee: what there is to watch",
        health=health,
        authenticate=authenticate,
        routers=build_routers(
            videos,
            VideoEditor(database, PlansClient(auth)),
            Protection(database, store),
            Imports(videos, origins, settings.import_dir),
            Search(database, cards),
            answers,
            HealthOverview(health, peers),
            ArtworkReader(videos, store),
            store,
            admission,
            resumable,
            DeadLetters(database, bus),
            subtitles,
            jobs,
            Scans(jobs, settings.import_dir),
            uploads=settings.uploads,
        )
        | {
            "series": series_router(SeriesLibrary(database, settings.uploads)),
            "highlights": highlights_router(highlights, answers),
            "home": home_router(home, answers),
            "titles": titles_router(Titles(database, parse_templates(settings.title_templates))),
            "watchlist": watchlist_router(Watchlists(database)),
        },
        max_body_bytes=max_body_bytes,
    )
    app.add_middleware(TusProtocol)
    if role.answers:
        home_consumers.subscribe(bus, home)
    if role.works:
        packs = PackIntake(store, settings.protected_source)
        consumers.subscribe(bus, database, Processing(store, packs), subtitles, store)
        watchlist_consumers.subscribe(bus, database)
    service = Service(
        name=NAME,
        app=app,
        health=health,
        grpc=GrpcServer(NAME, settings.grpc_bind, [partial(register, CatalogServicer(videos, answers))]),
        bus=None if shared_bus else bus,
        prepare=[database.require_migrated, store.prepare],
        background=background,
    )
    for channel in peers.values():
        service.resources.push_async_callback(channel.close)
    service.resources.callback(resumable.close)
    service.resources.push_async_callback(origins.close)
    service.resources.push_async_callback(database.close)
    return service


def _stores(settings: CatalogSettings, origins: Origins) -> tuple[WritableStore, PartStore]:
    """Return the media store, and what keeps unfinished uploads in it."""
    if bucket := settings.media_bucket:
        in_bucket = BucketStore(origins.bucket(bucket.bucket), bucket.key)
        return in_bucket, BucketParts(in_bucket)
    folder = MediaStore(settings.media_root)
    return FolderStore(folder), FolderParts(folder)


def _dictionary(path: Path | None) -> dict[str, str]:
    try:
        return parse_dictionary(path.read_text()) if path else {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"MARQUEE_TITLE_DICTIONARY: {path}: {error}") from error


def migrate(settings: CatalogSettings) -> None:
    """Bring catalog's database up to date."""
    upgrade(MIGRATIONS, settings.database_url)


if __name__ == "__main__":
    main(NAME, CatalogSettings, build, migrate)
