"""Starting and stopping a service."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from kit.health import Check, Health
from kit.rpc import GrpcServer, connect, probe
from kit.service import HttpServer, Role, Service, listen, main, run_until_signal
from kit.settings import ServiceSettings, SettingsError, load
from kit.testing.fakes import FakeBus
from kit.web.app import create_app
from kit.web.server import listen_all


class Settings(ServiceSettings):
    """The settings that every service has."""


Step = Callable[[], Awaitable[None]]


def noting(diary: list[str], entry: str) -> Step:
    async def step() -> None:
        diary.append(entry)

    return step


class DiaryBus(FakeBus):
    def __init__(self, diary: list[str]) -> None:
        super().__init__()
        self._diary = diary

    async def start(self) -> None:
        self._diary.append("bus started")

    async def close(self, drain_sec: float = 5) -> None:
        self._diary.append("bus closed")


def a_service(folder: Path, diary: list[str]) -> Service:
    health = Health({"database": Check(noting(diary, "looked"))})

    async def loop() -> None:
        diary.append("loop began")
        try:
            await asyncio.Event().wait()
        finally:
            diary.append("loop ended")

    service = Service(
        name="kit",
        app=create_app("kit", title="Kit", health=health, authenticate=None, routers={}),
        health=health,
        grpc=GrpcServer("kit", f"unix:{folder}/rpc"),
        bus=DiaryBus(diary),
        prepare=[noting(diary, "prepared")],
        background=[loop],
    )
    service.resources.push_async_callback(noting(diary, "database closed"))
    return service


async def test_a_service_starts_and_stops_in_order(tmp_path: Path) -> None:
    diary: list[str] = []
    service = a_service(tmp_path, diary)
    await service.start()
    assert diary[:3] == ["prepared", "looked", "bus started"]
    assert service.health.is_ready()
    async with connect(f"unix:{tmp_path}/rpc") as channel, asyncio.timeout(60):
        while not await probe(channel):  # noqa: ASYNC110 - a probe is a question
            await asyncio.sleep(0.005)
        assert await probe(channel, "database") is True
    await service.stop(1)
    assert not service.health.is_ready()
    assert diary[-3:] == ["bus closed", "loop ended", "database closed"]


async def test_a_start_that_fails_can_be_stopped(tmp_path: Path) -> None:
    diary: list[str] = []
    service = a_service(tmp_path, diary)

    async def refuse() -> None:
        raise SettingsError("MARQUEE_ADMIN_PASSWORD is not set.")

    service.prepare = [refuse]
    with pytest.raises(SettingsError):
        await service.start()
    async with asyncio.timeout(60):
        await service.stop(1)
    assert diary == ["bus closed", "database closed"]


@pytest.mark.parametrize(
    ("role", "answers", "works"), [(Role.SERVE, True, True), (Role.API, True, False), (Role.WORKER, False, True)]
)
def test_a_role_is_a_part_of_the_service(role: Role, *, answers: bool, works: bool) -> None:
    assert role.answers is answers
    assert role.works is works


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_server_in_an_orderly_way(tmp_path: Path, number: signal.Signals) -> None:
    service = a_service(tmp_path, [])
    await service.health.run_checks()
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = HttpServer(service.app, load(Settings, drain_sec=5))
    serving = asyncio.create_task(run_until_signal(server, [listener], service.health.stop))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(60):
        assert (await client.get("/readyz")).status_code == 200
        # What lives as long as the process is kept out of collections, which would hold up requests.
        assert gc.get_freeze_count() > 0
        os.kill(os.getpid(), number)
        await serving
    assert not service.health.is_ready()
    listener.close()


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"^Can't listen on 127.0.0.1 port {port} .*MARQUEE_HTTP_PORT"):
            listen("127.0.0.1", port)


def test_answers_are_sent_without_waiting_for_more() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.usefixtures("restored_logging")
class TestMain:
    @staticmethod
    def run(*arguments: str, build: Callable[[Settings, Role], Service]) -> None:
        main("kit", Settings, build, arguments=arguments)

    def test_settings_that_can_not_be_used_end_it_with_a_sentence(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("MARQUEE_HTTP_PORT", "http")

        def build(_settings: Settings, _role: Role) -> Service:
            raise AssertionError

        with pytest.raises(SystemExit) as caught:
            self.run("serve", build=build)
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("marquee: MARQUEE_HTTP_PORT can't be used: ")

    def test_a_start_that_is_refused_ends_it_with_a_sentence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("MARQUEE_HTTP_PORT", "0")
        monkeypatch.setenv("MARQUEE_LOG_LEVEL", "error")
        diary: list[str] = []

        async def refuse() -> None:
            raise SettingsError("MARQUEE_ADMIN_PASSWORD is not set.")

        def build(_settings: Settings, _role: Role) -> Service:
            service = a_service(tmp_path, diary)
            service.prepare = [refuse]
            return service

        with pytest.raises(SystemExit) as caught:
            self.run("serve", build=build)
        assert caught.value.code == 2
        assert capsys.readouterr().err == "marquee: MARQUEE_ADMIN_PASSWORD is not set.\n"
        assert diary[-1] == "database closed"


@pytest.mark.parametrize(
    ("hosts", "answering"),
    [
        ("127.0.0.1", {"127.0.0.1"}),
        ("::", {"127.0.0.1", "::1"}),
        ("[::]", {"127.0.0.1", "::1"}),
        ("::1", {"::1"}),
        ("127.0.0.1, ::1", {"127.0.0.1", "::1"}),
        ("0.0.0.0,::", {"127.0.0.1", "::1"}),
        ("127.0.0.2,127.0.0.3", set()),
    ],
)
def test_listens_on_every_address_with_one_port(hosts: str, answering: set[str]) -> None:
    with listen_all(hosts, 0) as listeners:
        assert len({each.getsockname()[1] for each in listeners}) == 1
        for address in ("127.0.0.1", "::1"):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family) as client:
                assert (client.connect_ex((address, listeners.port)) == 0) is (address in answering)
    assert all(each.fileno() == -1 for each in listeners)


def test_an_address_of_several_that_is_taken_stops_the_start() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(SettingsError, match="MARQUEE_HTTP_PORT"):
        listen_all("::1,127.0.0.1", taken.getsockname()[1])
