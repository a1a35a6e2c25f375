"""Content keys at rest: wrapped, wrapped anew after a change of the master key, and checked at the start."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from grpc import StatusCode, aio
from sqlalchemy import select, update

from kit.db.database import Database
from kit.db.migrations import upgrade
from kit.ids import new_id
from kit.rpc import connect
from kit.settings import SettingsError, load
from kit.testing.databases import MigratedDatabases
from kit.testing.schema import schema_differences
from kit.testing.servers import PostgresServer, free_port
from lsv import MasterKeys
from marquee.stream.v1 import stream_pb2
from marquee.stream.v1.stream_pb2_grpc import StreamServiceStub
from services.stream.__main__ import MIGRATIONS, migrate
from services.stream.models import Base, WrappedContentKey
from services.stream.protection.content_keys import BATCH, ContentKeys, ProtectionUnavailableError
from services.stream.rotate import main as rotate
from services.stream.settings import StreamSettings
from services.stream.tests.protected import MASTER_KEY, running_protected
from services.stream.tests.support import a_source, running
from services.stream.tests.unit.test_settings import GOOD

OLD, NEW, STRANGE = bytes(range(32)), b"\x01" * 32, b"\x02" * 32


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


class TestSqlite:
    """A file."""

    async def test_migrated_schema_equals_models(self, database: Database) -> None:
        assert await schema_differences(database, Base.metadata) == []

    def test_migrating_again_changes_nothing(self, database_url: str) -> None:
        upgrade(MIGRATIONS, database_url)

    async def test_all_keys_are_wrapped_anew_and_open_the_same_packs(self, database: Database) -> None:
        before = ContentKeys(database, MasterKeys(OLD))
        count = BATCH * 2 + 3
        issued = {asset: await before.issue(new_id(), asset) for asset in (new_id() for _ in range(count))}
        after = ContentKeys(database, MasterKeys(NEW, [OLD]))
        assert await after.rewrap() == count
        assert await after.rewrap() == 0
        alone = ContentKeys(database, MasterKeys(NEW))
        await alone.check_master_keys()
        for asset, key in issued.items():
            assert await alone.get(a_source(asset_id=asset)) == key
        with pytest.raises(ProtectionUnavailableError):
            await before.get(a_source(asset_id=next(iter(issued))))

    async def test_key_that_can_not_be_unwrapped_ends_rewrapping_with_a_sentence(self, database: Database) -> None:
        asset = new_id()
        await ContentKeys(database, MasterKeys(STRANGE)).issue(new_id(), asset)
        with pytest.raises(SettingsError, match=f"{asset}.*MARQUEE_LSV_PREVIOUS_MASTER_KEYS"):
            await ContentKeys(database, MasterKeys(NEW, [OLD])).rewrap()

    async def test_start_refuses_master_keys_that_open_nothing(self, database: Database) -> None:
        keys = ContentKeys(database, MasterKeys(OLD))
        await ContentKeys(database, MasterKeys(STRANGE)).check_master_keys()
        await keys.issue(new_id(), new_id())
        with pytest.raises(SettingsError, match="MARQUEE_LSV_MASTER_KEY"):
            await ContentKeys(database, MasterKeys(STRANGE)).check_master_keys()
        await ContentKeys(database, MasterKeys(STRANGE, [OLD])).check_master_keys()

    async def test_database_has_no_key_in_the_clear(self, database: Database) -> None:
        key = await ContentKeys(database, MasterKeys(OLD)).issue(new_id(), new_id())
        async with database.read() as session:
            (row,) = (await session.scalars(select(WrappedContentKey))).all()
        assert key.secret not in row.wrapped
        assert repr(key.secret) not in repr(key)

    async def test_changed_row_is_refused(self, database: Database) -> None:
        keys, asset = ContentKeys(database, MasterKeys(OLD)), new_id()
        await keys.issue(new_id(), asset)
        async with database.write() as transaction:
            await transaction.session.execute(update(WrappedContentKey).values(key_id=new_id()))
        with pytest.raises(ProtectionUnavailableError):
            await keys.get(a_source(asset_id=asset))


class TestPostgres(TestSqlite):
    """A server."""

    @pytest.fixture
    def database_url(self, postgres_server: PostgresServer, migrated: MigratedDatabases) -> Iterator[str]:
        with migrated.postgres(postgres_server) as url:
            yield url


async def test_without_master_key_packers_learn_that_a_setting_is_missing(
    store: Path, sockets: Path, database_url: str
) -> None:
    async with (
        running_protected(store, sockets, database_url, lsv_master_key=None) as harness,
        connect(f"127.0.0.1:{harness.service.grpc.port}") as channel,
    ):
        request = stream_pb2.IssueContentKeyRequest(video_id=new_id(), asset_id=new_id())
        with pytest.raises(aio.AioRpcError, match="master key") as refused:
            await StreamServiceStub(channel).IssueContentKey(request, timeout=30)
        assert refused.value.code() is StatusCode.FAILED_PRECONDITION


async def test_database_that_is_away_stops_no_plain_film(store: Path, sockets: Path) -> None:
    away = f"postgresql+psycopg://stream:secret@127.0.0.1:{free_port()}/stream"
    async with running(store, sockets, database_url=away, lsv_master_key=MASTER_KEY) as harness:
        assert (await harness.get(harness.store("film.mp4", b"plain"))).body == b"plain"
        assert (await harness.call("GET", "/readyz")).status == 200


async def test_database_without_tables_stops_the_start(store: Path, sockets: Path, tmp_path: Path) -> None:
    empty = f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
    with pytest.raises(SettingsError, match="migrate"):
        async with running(store, sockets, database_url=empty, lsv_master_key=MASTER_KEY):
            pass


async def test_command_rewraps(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await ContentKeys(database, MasterKeys(OLD)).issue(new_id(), new_id())
    file = tmp_path / "master.key"
    environment = {
        "MARQUEE_DATABASE_URL": database_url,
        "MARQUEE_LSV_MASTER_KEY_FILE": str(file),
        "MARQUEE_LSV_PREVIOUS_MASTER_KEYS": base64.b64encode(OLD).decode(),
    }
    done = subprocess.run(  # noqa: ASYNC221 - our own program
        [sys.executable, "-m", "services.stream.rotate"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 content keys were wrapped anew")
    made = base64.urlsafe_b64decode(file.read_text())
    await ContentKeys(database, MasterKeys(made)).check_master_keys()
    assert base64.b64encode(OLD).decode() not in done.stdout + done.stderr


def test_command_without_database_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MARQUEE_DATABASE_URL", raising=False)
    monkeypatch.setenv("MARQUEE_DATA_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        rotate([])
    assert stopped.value.code == 2


def test_migrating_without_database_does_nothing() -> None:
    migrate(load(StreamSettings, **GOOD))
