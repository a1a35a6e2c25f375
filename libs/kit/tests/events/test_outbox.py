"""Events leave with the fact that they report, at least once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
import structlog
from prometheus_client import REGISTRY
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import func, insert, select

from kit.bus import BusUnavailableError
from kit.db.database import Database
from kit.events import outbox, relay
from kit.events.envelope import Event
from kit.events.inbox import KEEP_RECEIVED
from kit.events.outbox import BATCH, KEEP_SENT
from kit.events.outbox_relay import OutboxSource, outbox_relay
from kit.events.relay import Relay
from kit.testing.fakes import FakeBus
from kit.testing.queries import count_queries
from kit.tests.events.support import an_event

PATIENCE_SEC = 60


class Bus(FakeBus):
    """A bus that a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.unrouted: set[str] = set()
        self.refusals = 0
        self._changed = asyncio.Condition()

    async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
        """Leaves out required types that have no queue."""
        async with self._changed:
            self._changed.notify_all()
            if not self.available:
                self.refusals += 1
                raise BusUnavailableError("switched off by the test")
            taken = [event for event in events if event.type not in self.unrouted or event.type not in required]
            self.refusals += len(events) - len(taken)
            return await super().publish(taken)

    async def has_published(self, number: int) -> list[Event]:
        async with asyncio.timeout(PATIENCE_SEC), self._changed:
            await self._changed.wait_for(lambda: len(self.published) >= number)
        return self.published

    async def has_refused(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE_SEC), self._changed:
            await self._changed.wait_for(lambda: self.refusals >= number)


@asynccontextmanager
async def running(mover: Relay) -> AsyncIterator[None]:
    task = asyncio.create_task(mover.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def record(database: Database, *events: Event) -> None:
    async with database.write() as transaction:
        for event in events:
            await transaction.record(event)


async def unsent(database: Database) -> int:
    async with database.read() as session:
        statement = select(func.count()).select_from(outbox.outbox).where(outbox.outbox.c.sent_at.is_(None))
        return (await session.execute(statement)).scalar_one()


async def all_marked_sent(database: Database) -> None:
    async with asyncio.timeout(PATIENCE_SEC):
        while await unsent(database):  # noqa: ASYNC110 - nothing tells of a row in a database
            await asyncio.sleep(0.005)


@asynccontextmanager
async def looks_at_the_outbox(database: Database) -> AsyncIterator[asyncio.Semaphore]:
    """Released each time that a relay reads which events are due."""
    looks = asyncio.Semaphore(0)

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "min(" in statement and "outbox" in statement:
            looks.release()

    engine = database.reader.sync_engine
    sqlalchemy_event.listen(engine, "after_cursor_execute", note)
    yield looks
    sqlalchemy_event.remove(engine, "after_cursor_execute", note)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "POLL_SEC", 0.01)
    monkeypatch.setattr(relay, "POLL_SEC_IF_WOKEN", 0.01)
    monkeypatch.setattr(relay, "MAX_PAUSE_SEC", 0.02)
    monkeypatch.setattr(outbox, "UNROUTED_RETRY", timedelta(milliseconds=20))


class OutboxContract:
    """Holds for every database; subclasses say where theirs is."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    async def database(self, url: str) -> AsyncIterator[Database]:
        database = Database(url)
        async with database.engine.begin() as connection:
            await connection.run_sync(outbox.metadata.create_all)
        yield database
        await database.close()

    async def test_an_event_leaves_as_it_was_recorded(self, database: Database) -> None:
        event = Event(
            type="video.uploaded",
            source="catalog",
            subject="v1",
            body='{"title": "한글 🎬"}'.encode(),
            version=7,
            time=datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
            request_id="r1",
        )
        bus = Bus()
        async with running(outbox_relay("kit", database, bus)):
            await record(database, event)
            assert await bus.has_published(1) == [event]
            await all_marked_sent(database)

    async def test_a_stop_that_comes_together_with_an_event_is_a_stop(self, database: Database) -> None:
        waits = asyncio.Event()
        mover = outbox_relay("kit", database, Bus())

        class Wake(asyncio.Event):
            async def wait(self) -> Literal[True]:
                waits.set()
                return await super().wait()

        mover._wake = wake = Wake()
        task = asyncio.create_task(mover.run())
        await asyncio.wait_for(waits.wait(), PATIENCE_SEC)
        wake.set()
        task.cancel()
        _, going_on = await asyncio.wait([task], timeout=60)
        task.cancel()
        assert not going_on

    async def test_nothing_leaves_before_the_commit(self, database: Database) -> None:
        bus = Bus()
        async with looks_at_the_outbox(database) as looks, running(outbox_relay("kit", database, bus)):
            for _ in range(2):  # the first round prunes, for which it would wait for the writer below
                await asyncio.wait_for(looks.acquire(), PATIENCE_SEC)
            async with database.write() as transaction:
                await transaction.record(an_event())
                for _ in range(3):
                    await asyncio.wait_for(looks.acquire(), PATIENCE_SEC)
                assert bus.published == []
            await bus.has_published(1)

    async def test_nothing_leaves_after_a_rollback(self, database: Database) -> None:
        bus = Bus()
        async with running(outbox_relay("kit", database, bus)):
            with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the error must pass through the block
                async with database.write() as transaction:
                    await transaction.record(an_event(1))
                    raise ZeroDivisionError
            await record(database, an_event(2))
            assert [event.subject for event in await bus.has_published(1)] == ["2"]

    async def test_a_look_at_an_empty_outbox_is_one_statement(self, database: Database) -> None:
        """It is looked at twice a second, for ever."""
        source, bus = OutboxSource(database), Bus()
        await source.drain(bus.publish)
        with count_queries() as sent:
            assert await source.drain(bus.publish) is None
        assert sent.count == 1

    async def test_a_commit_wakes_the_relay(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(relay, "POLL_SEC", 3600)
        monkeypatch.setattr(relay, "POLL_SEC_IF_WOKEN", 3600)
        bus = Bus()
        async with looks_at_the_outbox(database) as looks, running(outbox_relay("kit", database, bus)):
            await asyncio.wait_for(looks.acquire(), PATIENCE_SEC)
            await record(database, an_event())
            await bus.has_published(1)

    async def test_a_crash_before_the_mark_sends_again_under_the_same_id(self, database: Database) -> None:
        class DiesOnce(Bus):
            async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
                await super().publish(events, required=required)
                return await asyncio.Future()

        event = an_event()
        await record(database, event)
        doomed, healthy = DiesOnce(), Bus()
        async with running(outbox_relay("kit", database, doomed)):
            await doomed.has_published(1)
        assert await unsent(database) == 1
        async with running(outbox_relay("kit", database, healthy)):
            assert [each.id for each in await healthy.has_published(1)] == [event.id]
            await all_marked_sent(database)

    async def test_events_wait_for_the_bus_in_order(self, database: Database) -> None:
        bus = Bus()
        bus.available = False
        async with running(outbox_relay("kit", database, bus)):
            for number in range(5):
                await record(database, an_event(number))
            await bus.has_refused(2)
            assert await unsent(database) == 5
            bus.available = True
            await bus.has_published(5)
            await all_marked_sent(database)
        assert [event.subject for event in bus.published] == ["0", "1", "2", "3", "4"]

    async def test_the_age_of_the_outbox_grows_while_the_bus_is_away(self, database: Database) -> None:
        bus = Bus()
        bus.available = False
        await record(database, replace(an_event(), time=datetime.now(UTC) - timedelta(hours=1)))
        async with running(outbox_relay("kit", database, bus)):
            await bus.has_refused(1)
            age = REGISTRY.get_sample_value("outbox_oldest_age_seconds", {"service": "kit"})
            assert age is not None
            assert age >= 3600
            bus.available = True
            await all_marked_sent(database)

    async def test_new_events_do_not_shorten_the_wait_for_the_bus(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relay, "POLL_SEC", 3600)
        monkeypatch.setattr(relay, "POLL_SEC_IF_WOKEN", 3600)
        monkeypatch.setattr(relay, "MAX_PAUSE_SEC", 3600)
        bus = Bus()
        bus.available = False
        async with running(outbox_relay("kit", database, bus)):
            await record(database, an_event())
            await bus.has_refused(1)
            for number in range(5):
                await record(database, an_event(number))
        assert bus.refusals == 1

    async def test_a_surprise_does_not_end_the_relay(self, database: Database) -> None:
        class TripsOnce(Bus):
            tripped = False

            async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
                if not self.tripped:
                    self.tripped = True
                    raise RuntimeError("out of cheese")
                return await super().publish(events, required=required)

        bus = TripsOnce()
        async with running(outbox_relay("kit", database, bus)):
            await record(database, an_event())
            await bus.has_published(1)

    async def test_an_event_without_a_queue_waits_and_blocks_no_other(self, database: Database) -> None:
        bus = Bus()
        bus.unrouted = {"media.probed"}
        async with running(outbox_relay("kit", database, bus, required=["media.probed"])):
            await record(database, an_event(1, "media.probed"), an_event(2), an_event(3))
            assert [event.subject for event in await bus.has_published(2)] == ["2", "3"]
            await bus.has_refused(2)
            assert await unsent(database) == 1
            bus.unrouted = set()
            assert (await bus.has_published(3))[-1].subject == "1"
            await all_marked_sent(database)

    async def test_an_optional_event_without_a_queue_counts_as_sent(self, database: Database) -> None:
        bus = Bus()
        bus.unrouted = {"points.granted"}
        async with running(outbox_relay("kit", database, bus)):
            await record(database, an_event())
            await bus.has_published(1)
            await all_marked_sent(database)

    async def test_a_backlog_larger_than_a_batch_drains_in_order(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relay, "POLL_SEC", 3600)
        monkeypatch.setattr(relay, "POLL_SEC_IF_WOKEN", 3600)
        total = 2 * BATCH + 50
        await record(database, *(an_event(number) for number in range(total)))
        bus = Bus()
        async with running(outbox_relay("kit", database, bus)):
            await bus.has_published(total)
            await all_marked_sent(database)
        assert [event.subject for event in bus.published] == [str(number) for number in range(total)]

    async def test_the_work_in_hand_lends_its_request_and_trace(self, database: Database) -> None:
        trace = "00-" + "c" * 32 + "-" + "d" * 16 + "-01"
        bus = Bus()
        async with running(outbox_relay("kit", database, bus)):
            with structlog.contextvars.bound_contextvars(request_id="req-1", traceparent=trace):
                await record(database, an_event(1))
            await record(database, an_event(2))
            first, second = await bus.has_published(2)
        assert (first.request_id, first.traceparent) == ("req-1", trace)
        assert (second.request_id, second.traceparent) == ("", "")

    async def test_an_event_keeps_the_cause_it_came_with(self, database: Database) -> None:
        cause = Event(
            type="a.b", source="s", subject="1", body=b"{}", traceparent="the-trace", request_id="the-request"
        )
        bus = Bus()
        async with running(outbox_relay("kit", database, bus)):
            with structlog.contextvars.bound_contextvars(request_id="another"):
                await record(database, an_event().caused_by(cause))
            (event,) = await bus.has_published(1)
        assert (event.request_id, event.traceparent) == ("the-request", "the-trace")

    async def test_old_rows_are_pruned_and_waiting_ones_kept(self, database: Database) -> None:
        now = datetime.now(UTC)
        margin = timedelta(minutes=1)
        kept_event, waiting, gone = an_event(1), an_event(2), an_event(3)
        await record(database, kept_event, waiting, gone)
        async with database.write() as transaction:
            for event, sent_at in ((kept_event, now - KEEP_SENT + margin), (gone, now - KEEP_SENT - margin)):
                await transaction.session.execute(
                    outbox.outbox.update().where(outbox.outbox.c.id == event.id).values(sent_at=sent_at)
                )
            for name, received_at in (("kept", now - KEEP_RECEIVED + margin), ("gone", now - KEEP_RECEIVED - margin)):
                row = {"consumer": name, "event_id": "1", "received_at": received_at}
                await transaction.session.execute(insert(outbox.inbox).values(row))

        async with running(outbox_relay("kit", database, Bus())), asyncio.timeout(PATIENCE_SEC):
            while True:
                async with database.read() as session:
                    consumers = set((await session.execute(select(outbox.inbox.c.consumer))).scalars())
                    ids = set((await session.execute(select(outbox.outbox.c.id))).scalars())
                if "gone" not in consumers:
                    break
                await asyncio.sleep(0.005)
        assert consumers == {"kept"}
        assert ids == {kept_event.id, waiting.id}


class TestSqliteOutbox(OutboxContract):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    async def test_publishing_does_not_hold_the_only_writer(self, database: Database) -> None:
        class Slow(Bus):
            async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
                await super().publish(events, required=required)
                return await asyncio.Future()

        bus = Slow()
        async with running(outbox_relay("kit", database, bus)):
            await record(database, an_event(1))
            await bus.has_published(1)
            async with asyncio.timeout(60):
                await record(database, an_event(2))


class TestPostgresOutbox(OutboxContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url

    async def test_two_relays_share_the_rows(self, database: Database, url: str) -> None:
        both_hold_rows = asyncio.Barrier(2)

        class Meeting(Bus):
            async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:
                await asyncio.wait_for(both_hold_rows.wait(), PATIENCE_SEC)
                return await super().publish(events, required=required)

        total = 2 * BATCH
        await record(database, *(an_event(number) for number in range(total)))
        other = Database(url)
        one, two = Meeting(), Meeting()
        async with running(outbox_relay("kit", database, one)), running(outbox_relay("kit", other, two)):
            await asyncio.gather(one.has_published(BATCH), two.has_published(BATCH))
            await all_marked_sent(database)
        await other.close()
        ids = [event.id for event in one.published + two.published]
        assert len(ids) == len(set(ids)) == total
