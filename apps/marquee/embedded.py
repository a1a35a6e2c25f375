"""Embedded mode: the five services in one process, on SQLite and a bus in a file, with nothing else to install."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from apps.marquee.data_folder import create_private_files, open_data_folder
from apps.marquee.gateway import Gateway
from kit.bus import Bus
from kit.bus.local import LocalBus
from kit.service import Role, Service
from kit.settings import ServiceSettings, SettingsError, load, names, refuse_typos
from kit.telemetry import configure_logging
from kit.web.limits import RequestLimits
from kit.web.server import HttpServer, Listeners, allow_connections, listen_all, run_until_signal
from services.auth import __main__ as auth
from services.auth.settings import AuthSettings
from services.catalog import __main__ as catalog
from services.catalog.reindex import run as rebuild_index
from services.catalog.settings import CatalogSettings
from services.progress import __main__ as progress
from services.progress.settings import ProgressSettings
from services.stream import __main__ as stream
from services.stream.settings import StreamSettings
from services.thumbnailer import __main__ as thumbnailer
from services.thumbnailer.settings import ThumbnailerSettings

WEB = Path(__file__).parents[2] / "web" / "dist"
SERVICES: dict[str, tuple[Any, type[ServiceSettings]]] = {
    "auth": (auth, AuthSettings),
    "catalog": (catalog, CatalogSettings),
    "stream": (stream, StreamSettings),
    "progress": (progress, ProgressSettings),
    "thumbnailer": (thumbnailer, ThumbnailerSettings),
}
"""Each service's composition root and settings class, in the order in which they start."""
CLIENT_SETTINGS = {"MARQUEE_URL"}
"""Settings that only the commands for a running Marquee read."""
_BUS = "bus.db"
_MAX_SOCKET_PATH = 90
"""A little under the kernel's limit for the path of a Unix socket (sun_path: 108 bytes)."""


class EmbeddedSettings(ServiceSettings):
    """Settings of the launcher itself; the services read their own."""

    data_dir: Path = Field(Path("var"), description="Where embedded mode keeps everything.")
    http_workers: int = Field(1, ge=1, le=1, description="Embedded mode is one process.")
    log_format: Literal["json", "text"] = Field("text", description="One JSON object a line, or text for people.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("warning", description="The least level logged.")


def migrate() -> None:
    """Make or migrate the databases.

    Raises:
        SettingsError: something in the environment must be changed first.
    """
    settings = load(EmbeddedSettings)
    configure_logging(settings.log_level, settings.log_format)
    data = _data_folder(settings)
    with _exclusive(data):
        # Before the databases are there: afterwards the next start would not be the first.
        _first_password(data)
        _migrate(service_settings(data, data, None), data)
    sys.stdout.write(f"The databases in {data} are up to date.\n")


def reindex() -> None:
    """Write the search index of embedded mode anew, also while it serves.

    Raises:
        SettingsError: there are no databases yet.
    """
    data = _data_folder(load(EmbeddedSettings))
    if not (data / "catalog.db").exists():
        raise SettingsError(f"There is no catalog in {data}: set MARQUEE_DATA_DIR, or run `marquee migrate`.")
    videos = rebuild_index(_database_url(data, "catalog"))
    sys.stdout.write(f"{videos} videos indexed.\n")


def run(databases: Mapping[str, str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        databases: URLs of databases that are not in the data folder, by service; the benchmark compares with them.

    Raises:
        SettingsError: something in the environment must be changed first.
    """
    settings = load(EmbeddedSettings)
    for unknown in refuse_typos(known_settings()):
        sys.stderr.write(f"marquee: {unknown} is not used by this version.\n")
    configure_logging(settings.log_level, settings.log_format)
    allow_connections()
    data = _data_folder(settings)
    with (
        _exclusive(data),
        _socket_folder(data) as sockets,
        listen_all(settings.http_host, settings.http_port) as listeners,
    ):
        password = _first_password(data)
        wired = service_settings(data, sockets, password, databases)
        _migrate(wired, data)
        asyncio.run(_serve(settings, data, wired, listeners, password))


async def _serve(
    settings: EmbeddedSettings, data: Path, wired: dict[str, Any], listeners: Listeners, password: str | None
) -> None:
    bus = LocalBus(data / _BUS)
    services = build(wired, bus)
    # One count for all services: two requests of a caller to two services are two.
    limits = RequestLimits(settings.rate_limit_per_min, settings.user_rate_limit_per_min)
    for service in services:
        service.app.state.limits = limits
    gateway = Gateway(
        {service.name: service.root_app for service in services}, WEB, limits, wired["stream"].public_origin
    )
    server = HttpServer(gateway, settings)

    def on_signal() -> None:
        for service in services:
            service.health.stop()

    started: list[Service] = []
    try:
        await bus.start()
        for service in services:
            started.append(service)
            await service.start()
        _greet(settings, listeners.port, wired["auth"], password, data)
        await run_until_signal(server, listeners, on_signal)
    finally:
        for service in started:
            await service.before_close()
        await bus.close(settings.drain_sec)
        for service in reversed(started):
            await service.stop(settings.drain_sec)


def _data_folder(settings: EmbeddedSettings) -> Path:
    return open_data_folder(settings.data_dir)


def known_settings() -> set[str]:
    """Return every environment variable that embedded mode reads."""
    classes = [settings_class for _, settings_class in SERVICES.values()]
    return names([EmbeddedSettings, *classes]) | CLIENT_SETTINGS


def build(wired: dict[str, Any], bus: Bus) -> list[Service]:
    """Return the five services, wired to one bus."""
    return [module.build(wired[name], Role.SERVE, bus) for name, (module, _) in SERVICES.items()]


def _migrate(wired: dict[str, Any], data: Path) -> None:
    with_database = {name: module for name, (module, _) in SERVICES.items() if hasattr(module, "migrate")}
    create_private_files(data, [_BUS, *(f"{name}.db" for name in with_database)])
    for name, module in with_database.items():
        module.migrate(wired[name])


def service_settings(
    data: Path, sockets: Path, password: str | None, databases: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return each service's settings: the operator's, and the launcher's addresses, databases and keys."""

    def address(name: str) -> str:
        return f"unix:{sockets / name}"

    shared = {f"{name}_address": address(name) for name in SERVICES}
    wired: dict[str, Any] = {}
    for name, (_, settings_class) in SERVICES.items():
        own: dict[str, Any] = {
            "grpc_bind": address(name),
            "database_url": (databases or {}).get(name, _database_url(data, name)),
            "broker_url": "local:",
            "redis_url": None,
            "media_url": (data / "media").as_uri(),
            "signing_key_file": data / "signing.json",
            "ticket_key_file": data / "tickets.key",
            "lsv_master_key_file": data / "lsv-master.key",
            **shared,
        }
        if password is not None:
            own["admin_password"] = password
        if "MARQUEE_MEDIA_URL" in os.environ:
            del own["media_url"]
        known = settings_class.model_fields
        wired[name] = load(settings_class, **{key: value for key, value in own.items() if key in known})
    return wired


def _database_url(data: Path, service: str) -> str:
    return f"sqlite+aiosqlite:///{data / service}.db"


def _first_password(data: Path) -> str | None:
    """Return a new password for the administrator at the first start, unless a setting has one; else None.

    It is kept in a file until it has been shown, so that a first start that is cut short locks no one out.
    """
    kept = data / "first-password"
    if kept.exists():
        return kept.read_text()
    if (data / "auth.db").exists() or os.environ.get("MARQUEE_ADMIN_PASSWORD"):
        return None
    password = secrets.token_urlsafe(12)
    kept.touch(mode=0o600)
    kept.write_text(password)
    return password


def _greet(settings: EmbeddedSettings, port: int, wired: AuthSettings, password: str | None, data: Path) -> None:
    first = settings.http_host.split(",")[0].strip().strip("[]")
    host = f"[{first}]" if ":" in first else first
    lines = [f"Marquee is ready: http://{host}:{port}"]
    if password is not None:
        lines.append(f"First login: {wired.admin_login}   password: {password}   (shown only this once)")
    lines.append(f"Data is in {data}. Stop with Ctrl-C.")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    (data / "first-password").unlink(missing_ok=True)


@contextlib.contextmanager
def _exclusive(data: Path) -> Iterator[None]:
    """Hold the lock of a data folder: two processes on it would both deliver the events of its bus."""
    with (data / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"Another Marquee is running on {data}; stop it, or set MARQUEE_DATA_DIR to another folder."
            ) from error
        yield


@contextlib.contextmanager
def _socket_folder(data: Path) -> Iterator[Path]:
    """Make the folder of the services' gRPC sockets: only its owner can open them, and no port is taken."""
    folder = data / "run"
    if len(os.fsencode(folder)) > _MAX_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"marquee-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise SettingsError(f"MARQUEE_DATA_DIR can't be used: {folder} belongs to another user.")
    folder.chmod(0o700)
    try:
        yield folder
    finally:
        for name in SERVICES:
            (folder / name).unlink(missing_ok=True)
