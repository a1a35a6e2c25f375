"""Fixtures of catalog's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.ids import new_id
from kit.service import Role
from kit.settings import load
from kit.testing.fakes import FakeBus, HeaderAuthenticator
from kit.testing.servers import PostgresServer
from services.catalog.__main__ import build, migrate
from services.catalog.settings import CatalogSettings
from services.catalog.tests.support import Catalog


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'catalog.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        yield server.create_database(f"catalog_{new_id().replace('-', '')}")


@pytest.fixture
def uploads() -> str:
    """Who may upload; some tests override it."""
    return "admin"


@pytest.fixture
def catalog_settings() -> dict[str, Any]:
    """Other settings; some tests override it."""
    return {}


@pytest.fixture
async def catalog(
    database_url: str, tmp_path: Path, uploads: str, catalog_settings: dict[str, Any]
) -> AsyncIterator[Catalog]:
    settings = load(
        CatalogSettings,
        database_url=database_url,
        broker_url="local:",
        uploads=uploads,
        media_url=(tmp_path / "media").as_uri(),
        grpc_bind=f"unix:{tmp_path / 'grpc'}",
        auth_address=f"unix:{tmp_path / 'absent'}",
        progress_address=f"unix:{tmp_path / 'progress'}",
        **catalog_settings,
    )
    await asyncio.to_thread(migrate, settings)
    bus = FakeBus()
    service = build(settings, Role.SERVE, bus)
    service.app.state.authenticate = HeaderAuthenticator()
    await service.start()
    running = Catalog(service, bus, settings)
    yield running
    await running.http.aclose()
    await running.database.close()
    await service.stop(1)
