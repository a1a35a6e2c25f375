"""Several processes that serve one port."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kit.rpc import connect, probe
from kit.tests.processes import Running, children, free_port, is_alive, read_all, started, until
from kit.web import workers

COUNT = 3


@contextmanager
def workers_started(folder: Path) -> Iterator[Running]:
    with started(folder, http_workers=str(COUNT), grpc_bind=f"127.0.0.1:{free_port()}") as running:
        until(lambda: running.actions().count("service_started") == COUNT)
        yield running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    """For tests that end processes."""
    with workers_started(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def lasting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """For tests that only ask."""
    with workers_started(tmp_path_factory.mktemp("workers")) as running:
        yield running


def pid(server: Running) -> int:
    """Which process answers."""
    return int(server.get("/pid").read())


def answering(server: Running) -> set[int]:
    """Which processes answer when many ask at once."""
    with ThreadPoolExecutor(20) as pool:
        return set(pool.map(lambda _: pid(server), range(60)))


def test_every_worker_answers(lasting_server: Running) -> None:
    workers = children(lasting_server.process.pid)
    assert len(workers) == COUNT
    seen: set[int] = set()

    def have_all_answered() -> bool:
        seen.update(answering(lasting_server))
        return seen == workers

    until(have_all_answered)


def test_workers_send_the_right_bytes(lasting_server: Running) -> None:
    with ThreadPoolExecutor(4) as pool:
        bodies = list(pool.map(lambda _: lasting_server.get("/file").read(), range(12)))
    assert all(body == lasting_server.content for body in bodies)


def test_dead_worker_is_replaced(server: Running) -> None:
    before = children(server.process.pid)
    victim = pid(server)
    os.kill(victim, signal.SIGKILL)
    until(lambda: "worker_died" in server.actions())
    # The others answer meanwhile.
    assert pid(server) in before - {victim}
    until(lambda: len(children(server.process.pid)) == COUNT)
    (new,) = children(server.process.pid) - before
    until(lambda: new in answering(server))
    death = next(entry for entry in server.log() if entry["action"] == "worker_died")
    assert death["status"] == -signal.SIGKILL
    assert death["level"] == "error"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_workers_after_their_responses(server: Running, number: signal.Signals) -> None:
    workers = children(server.process.pid)
    socks = [server.connect("/file", receive_bytes=4096) for _ in range(6)]
    first = [sock.recv(1000) for sock in socks]
    server.signal(number)
    until(lambda: not server.is_listening())
    for begun, sock in zip(first, socks, strict=True):
        assert (begun + read_all(sock)).partition(b"\r\n\r\n")[2] == server.content
    assert server.ends() == 0
    assert not any(map(is_alive, workers))
    assert server.actions().count("service_stopped") == COUNT
    assert "Traceback" not in server.raw_log()


def test_workers_stop_when_the_parent_is_killed(server: Running) -> None:
    workers = children(server.process.pid)
    sock = server.connect("/file", receive_bytes=4096)
    begun = sock.recv(1000)
    server.process.kill()
    server.ends()
    # What is being sent is finished all the same.
    assert (begun + read_all(sock)).partition(b"\r\n\r\n")[2] == server.content
    until(lambda: not any(map(is_alive, workers)))
    assert not server.is_listening()
    assert server.actions().count("parent_gone") == COUNT


def test_metrics_are_summed_over_workers(lasting_server: Running) -> None:
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: lasting_server.get("/healthz").status, range(200)))
    assert statuses == [200] * 200
    pattern = re.compile(r'^http_request_seconds_count\{[^}]*route="/healthz"[^}]*\} (\S+)$', re.MULTILINE)

    def counted() -> list[float]:
        return [float(value) for value in pattern.findall(lasting_server.get("/metrics").read().decode())]

    # A request counts just after it is answered.
    until(lambda: counted() == [200])
    assert [counted() for _ in range(10)] == [[200]] * 10


async def test_workers_share_the_grpc_port(lasting_server: Running) -> None:
    ports = [entry["grpc_port"] for entry in lasting_server.log() if entry["action"] == "service_started"]
    assert ports == ports[:1] * COUNT
    for _ in range(10):
        async with connect(f"127.0.0.1:{ports[0]}") as channel, asyncio.timeout(60):
            assert await probe(channel) is not None


async def test_pause_grows_for_a_worker_that_keeps_failing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_own_command", lambda: [sys.executable, "-c", "raise SystemExit(3)"])
    monkeypatch.setattr(workers, "FIRST_PAUSE_SEC", 0.01)
    monkeypatch.setattr(workers, "LONGEST_PAUSE_SEC", 0.04)
    with socket.create_server(("127.0.0.1", 0)) as listener, capture_logs() as logs:
        parent = workers._Workers([listener], str(Path.cwd()))
        running = asyncio.ensure_future(parent.run(1, 10))
        async with asyncio.timeout(60):
            while len(deaths := [entry for entry in logs if entry["event"] == "worker_died"]) < 4:  # noqa: ASYNC110 - logs wake no task
                await asyncio.sleep(0.01)
            parent._stop()
            assert await running == 0
    assert [entry["restart_in_sec"] for entry in deaths[:4]] == [0.01, 0.02, 0.04, 0.04]
    assert {entry["status"] for entry in deaths} == {3}


async def test_worker_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sign = tmp_path / "deaf"
    script = (
        "import pathlib, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(sign)!r}).touch(); signal.pause()"
    )
    monkeypatch.setattr(workers, "_own_command", lambda: [sys.executable, "-c", script])
    with socket.create_server(("127.0.0.1", 0)) as listener, capture_logs() as logs:
        parent = workers._Workers([listener], str(tmp_path))
        running = asyncio.ensure_future(parent.run(1, 0.1))
        async with asyncio.timeout(60):
            while not sign.exists():  # noqa: ASYNC110 - nor do files
                await asyncio.sleep(0.01)
            parent._stop()
            assert await running == 0
    assert [entry["log_level"] for entry in logs if entry["event"] == "workers_killed"] == ["error"]


def test_unusable_settings_end_all_workers_with_a_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with started(tmp_path, http_workers="2", grpc_bind=bind) as server:
            assert server.ends() == 2
            assert f"marquee: gRPC can't listen on {bind}" in server.raw_log()
            assert "worker_died" not in server.actions()


def test_a_unix_socket_can_not_be_shared(tmp_path: Path) -> None:
    with started(tmp_path, http_workers="2") as server:
        assert server.ends() == 2
        assert server.raw_log().startswith("marquee: MARQUEE_HTTP_WORKERS can't be more than 1 where")
