"""Wire protected playback from the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from kit.bus import Bus
from kit.db.database import Database
from kit.db.failures import DatabaseUnavailableError
from kit.events.outbox_relay import outbox_relay
from kit.health import Check
from kit.service import Loop, Role
from kit.settings import SettingsError
from services.stream.protection import Protection
from services.stream.protection.licences import LicenceLimits
from services.stream.protection.master_keys import load_master_keys
from services.stream.protection.viewers import FindNames
from services.stream.settings import ProtectionSettings

log = structlog.get_logger()

SERVICE = "stream"


@dataclass(frozen=True, slots=True)
class WiredProtection:
    """Protected playback, ready to run. Without a database there is nothing to run."""

    use_cases: Protection
    database: Database | None
    prepare: Sequence[Callable[[], Awaitable[None]]] = ()
    """What has to be done before anything is served. Raises SettingsError."""
    loops: Sequence[Loop] = ()
    checks: dict[str, Check] = field(default_factory=dict)


def build_protection(settings: ProtectionSettings, role: Role, bus: Bus, find_names: FindNames) -> WiredProtection:
    """Return protected playback as the settings say.

    Args:
        settings: those of stream.
        role: what this process does.
        bus: takes events of licences.
        find_names: display names of users.

    Raises:
        SettingsError: the master key can't be read or made.
    """
    limits = LicenceLimits(
        settings.offline_license_sec, settings.offline_licenses_per_user, settings.offline_licenses_per_video
    )
    if settings.database_url is None:
        return WiredProtection(Protection(None, None, find_names, limits), None)
    database = Database(settings.database_url)
    use_cases = Protection(database, load_master_keys(settings), find_names, limits)
    return WiredProtection(
        use_cases,
        database,
        prepare=[partial(_prepare, database, use_cases)],
        loops=[outbox_relay(SERVICE, database, bus).run, use_cases.licences.maintain_periodically]
        if role.works
        else [],
        # All but protected films goes on without it.
        checks=database.checks(required=False),
    )


async def _prepare(database: Database, use_cases: Protection) -> None:
    """Check database and master keys. A database that is away stops no film that needs none.

    Raises:
        SettingsError: the database has no tables, or the master keys are others.
    """
    try:
        await database.require_migrated()
        await use_cases.content_keys.check_master_keys()
    except SettingsError as error:
        if not isinstance(error.__cause__, DatabaseUnavailableError):
            raise
        log.error("database_unavailable_at_start", reason=str(error))
    except DatabaseUnavailableError as error:
        log.error("database_unavailable_at_start", reason=error.reason)
