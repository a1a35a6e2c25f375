"""The bus of one process: the contract, and what only its file can get wrong."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.bus import BusUnavailableError, Delivery, RejectedEventError, Subscription
from kit.bus.local import LocalBus, lanes, rows
from kit.bus.local.file import File
from kit.testing.bus_contract import BusContract, Failing, Recorder, event, eventually, eventually_equal, start

PUBLISHER = """
import asyncio, sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from kit.bus import Subscription
from kit.bus.local import LocalBus
from kit.events.envelope import Event

async def main():
    bus = LocalBus(Path(sys.argv[1]))
    async def never(event):
        await asyncio.Event().wait()
    bus.subscribe(Subscription("catalog.videos", ("#",), concurrency=3), never)
    await bus.start()
    while True:
        taken = await bus.publish([Event(type="a.b", source="s", subject="1", body=b"{}") for _ in range(3)])
        print(*taken, flush=True)

asyncio.run(main())
"""


class TestLocalBus(BusContract):
    replicas = 1

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "deep" / "bus.sqlite3"

    def new_bus(self) -> LocalBus:
        return LocalBus(self.path)


async def test_a_killed_process_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "bus.sqlite3"
    confirmed: set[str] = set()
    for _ in range(3):
        command = [sys.executable, "-c", PUBLISHER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220, S603
            assert process.stdout
            for line, _ in zip(process.stdout, range(20), strict=False):
                confirmed.update(line.split())
            process.send_signal(signal.SIGKILL)
            # Lines that were on their way count too: their events were confirmed.
            for line in process.stdout:
                if line.endswith("\n"):
                    confirmed.update(line.split())
    assert len(confirmed) >= 180

    bus, got = LocalBus(path), Recorder()
    bus.subscribe(Subscription("catalog.videos", ("#",), concurrency=50), got)
    await start(bus)
    await eventually(lambda: confirmed <= {each.id for each in got.finished})
    await bus.close()
    assert len(set(got.ids)) == len(got.ids)


async def test_the_file_is_written_durably(tmp_path: Path) -> None:
    file = File(tmp_path / "bus.sqlite3")
    await file.open()
    full = 2
    assert await file.run(lambda opened: opened.execute("PRAGMA synchronous").fetchone()) == (full,)
    assert await file.run(lambda opened: opened.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
    await file.close()


async def test_work_that_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    file = File(tmp_path / "bus.sqlite3")
    await file.open()

    def fail(opened: sqlite3.Connection) -> None:
        rows.insert(opened, [("half", event())])
        raise sqlite3.OperationalError("disk full")

    good = [file.run(lambda opened: rows.insert(opened, [("whole", event())])) for _ in range(5)]
    results = await asyncio.gather(file.run(fail), *good, file.run(fail), return_exceptions=True)
    assert [type(each) for each in results] == [BusUnavailableError, *[type(None)] * 5, BusUnavailableError]
    assert len(await file.run(lambda opened: rows.ready(opened, "whole", [], 10))) == 5
    assert await file.run(lambda opened: rows.ready(opened, "half", [], 10)) == []
    await file.close()


async def test_a_file_that_can_not_be_opened_is_an_unavailable_bus(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    bus = LocalBus(tmp_path / "file" / "bus.sqlite3")
    with pytest.raises(BusUnavailableError):
        await bus.declare()
    with pytest.raises(BusUnavailableError):
        await bus.publish([event()])
    with pytest.raises(BusUnavailableError):
        await bus.start()
    await bus.close()


async def test_a_file_that_refuses_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_PAUSE_SEC", 0.01)
    bus, got, refusals = LocalBus(tmp_path / "bus.sqlite3"), Failing(ValueError("no"), times=1), 5

    def refuse(real: Callable[..., Any]) -> Callable[..., Any]:
        left = refusals

        def refusing(*arguments: object) -> Any:
            nonlocal left
            left -= 1
            if left >= 0:
                raise sqlite3.OperationalError("disk full")
            return real(*arguments)

        return refusing

    for name in ("ready", "postpone", "delete", "make_ready"):
        monkeypatch.setattr(rows, name, refuse(getattr(rows, name)))
    monkeypatch.setattr(lanes, "_LOOK_AGAIN_SEC", 0.05)
    bus.subscribe(Subscription("catalog.videos", ("#",), retry_delays_sec=(0.01,)), got)
    await start(bus)
    await bus.publish([event()])
    await eventually(lambda: len(got.events) == 2)
    await bus.close()
    with sqlite3.connect(tmp_path / "bus.sqlite3") as file:
        assert file.execute("SELECT count(*) FROM deliveries").fetchone() == (0,)
    file.close()


async def test_a_replay_by_another_process_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_LOOK_AGAIN_SEC", 0.05)
    serving, operator = LocalBus(tmp_path / "bus.sqlite3"), LocalBus(tmp_path / "bus.sqlite3")
    got = Failing(RejectedEventError("no"), times=1)
    serving.subscribe(Subscription("catalog.videos", ("#",)), got)
    await start(serving)
    await serving.publish([event()])

    async def dead() -> int:
        return len(await operator.dead_letters())

    await eventually_equal(dead, 1)
    assert await operator.replay("catalog.videos") == 1
    await eventually(lambda: len(got.events) == 2)
    await operator.close()
    await serving.close()


async def test_a_backlog_is_read_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []
    real = rows.ready

    def count(file: sqlite3.Connection, subscription: str, besides: frozenset[int], limit: int) -> list[rows.Row]:
        found = real(file, subscription, besides, limit)
        pieces.append(len(found))
        return found

    monkeypatch.setattr(rows, "ready", count)
    bus, got = LocalBus(tmp_path / "bus.sqlite3"), Recorder()
    bus.subscribe(Subscription("catalog.videos", ("#",)), got)
    await bus.declare()
    await bus.publish([event() for _ in range(500)])
    await start(bus)
    await eventually(lambda: len(got.finished) == 500)
    await bus.close()
    assert max(pieces) <= lanes._FETCH
    assert len(set(got.ids)) == 500


async def test_too_many_broadcasts_drop_the_caches_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_BROADCASTS", 3)
    bus, cache, dropped = LocalBus(tmp_path / "bus.sqlite3"), Recorder(gate_open=False), list[str]()
    bus.subscribe(Subscription("stream.cache", ("#",), Delivery.BROADCAST), cache)
    bus.on_reconnect(lambda: dropped.append("caches"))
    await start(bus)
    await bus.publish([event() for _ in range(3)])
    assert dropped == []
    await bus.publish([event() for _ in range(9)])
    assert dropped == ["caches"]
    await bus.close(drain_sec=0)
