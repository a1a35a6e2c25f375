"""Composition root of auth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from kit.auth.authentication import Authenticator
from kit.auth.client import follow_revocations
from kit.auth.tokens import Caller, TokenVerifier
from kit.bus import Bus
from kit.bus.rabbit import RabbitBus
from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.events.outbox_relay import outbox_relay
from kit.health import Check, Health, broker_check
from kit.rpc import GrpcServer
from kit.service import Loop, Role, Service, main
from kit.settings import SettingsError
from kit.web.app import create_app
from services.auth import consumers
from services.auth.clients.webhook import Webhook
from services.auth.credentials.keys import KeyRing
from services.auth.credentials.login_attempts import LoginAttempts
from services.auth.credentials.passwords import PasswordHasher
from services.auth.http import UseCases, build_routers
from services.auth.rpc import AuthServicer, register
from services.auth.service import Accounts, Administration, Audit, Corporations, Installation, Logins, utc_now
from services.auth.service.maintenance import Maintenance
from services.auth.settings import AuthSettings

NAME = "auth"
MIGRATIONS = Path(__file__).parent / "migrations"


def build(
    settings: AuthSettings,
    role: Role,
    shared_bus: Bus | None = None,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> Service:
    """Wire auth.

    Args:
        settings: settings of the service.
        role: which part of the service this process runs.
        shared_bus: the launcher's bus in embedded mode; None opens a connection.
        clock: returns the time that refresh tokens are checked against.
    """
    database = Database(settings.database_url)
    bus = shared_bus or RabbitBus(settings.broker_url, service=NAME)
    hasher = PasswordHasher(settings.bcrypt_cost, settings.pepper(), settings.http_workers)
    attempts = LoginAttempts(
        settings.redis_url,
        settings.login_attempts,
        settings.login_attempts_per_address,
        settings.login_attempts_per_account,
    )
    keys = KeyRing(settings.signing_key_file)
    installation = Installation(database)
    accounts = Accounts(database, hasher, attempts, clock)
    administration = Administration(database, reset_ttl_sec=settings.reset_ttl_sec, clock=clock)
    corporations = Corporations(database, clock)
    audit = Audit(
        database, retention_days=settings.audit_retention_days, burst=settings.alert_login_failures, clock=clock
    )
    logins = Logins(
        database,
        hasher,
        keys,
        attempts,
        access_ttl_sec=settings.access_ttl_sec,
        refresh_ttl_sec=settings.refresh_ttl_sec,
        clock=clock,
    )

    async def fetch_jwks() -> str:
        return keys.current.jwks_json()

    async def verify_basic(login: str, password: str, client: str) -> Caller:
        user = await logins.verify(login, password, client)
        return Caller(user.id, user.role, user.status, user.corporation_id or "")

    async def first_admin() -> None:
        if await accounts.any_exist():
            return
        if settings.admin_password is None:
            raise SettingsError(
                "MARQUEE_ADMIN_PASSWORD is not set; the first start needs it to make the administrator's account."
            )
        await accounts.ensure_first_admin(settings.admin_login, settings.admin_password.get_secret_value())

    authenticate = Authenticator(TokenVerifier(fetch_jwks), verify_basic)
    background: list[Loop] = []
    if role.answers:
        background += [keys.watch, partial(follow_revocations, logins.revocations, authenticate)]
    if role.works:
        consumers.subscribe(bus, database, audit)
        url = settings.alert_webhook_url
        webhook = Webhook(url.get_secret_value()) if url else None
        background.append(outbox_relay(NAME, database, bus).run)
        background.append(Maintenance(corporations, audit, logins, webhook).run)
    checks = database.checks() | {"broker": broker_check(bus)}
    if settings.redis_url:
        checks["redis"] = Check(attempts.ping, required=False)
    health = Health(checks)
    app = create_app(
        NAME,
        title="Marquee: accounts and logins",
        health=health,
        authenticate=authenticate,
        routers=build_routers(
            UseCases(accounts, logins, administration, corporations, audit, installation),
            registration=settings.registration,
            uploads=settings.uploads,
        ),
    )
    service = Service(
        name=NAME,
        app=app,
        health=health,
        grpc=GrpcServer(NAME, settings.grpc_bind, [partial(register, AuthServicer(accounts, logins, corporations))]),
        bus=None if shared_bus else bus,
        prepare=[database.require_migrated, installation.load, first_admin],
        background=background,
    )
    service.resources.callback(hasher.close)
    service.resources.push_async_callback(attempts.close)
    service.resources.push_async_callback(database.close)
    return service


def migrate(settings: AuthSettings) -> None:
    """Upgrade auth's database to the newest revision."""
    upgrade(MIGRATIONS, settings.database_url)


if __name__ == "__main__":
    main(NAME, AuthSettings, build, migrate)
