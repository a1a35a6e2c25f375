"""Which replica of stream gets a request for bytes, and who answers when one is away."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from kit.testing.servers import free_port
from tests.stacks.base import UNLIMITED
from tests.stacks.gateway import Gateway

VIDEOS = [f"video-{number}" for number in range(40)]
DEADLINE_SEC = 60.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another process brings about."""
    deadline = time.monotonic() + DEADLINE_SEC
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class Replica:
    """A small server that answers with its name, and can be away in several ways."""

    def __init__(self, name: str, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.name = name
        self.paths: list[str] = []
        self.connections: list[socket.socket] = []
        self.behaviour = "answer"
        self.go_on = threading.Event()
        self._address = address
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self) -> None:
        """Listen, at the same address as before."""
        replica = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                replica.connections.append(self.connection)

            def do_GET(self) -> None:
                replica.respond(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        self._server = ThreadingHTTPServer(self._address, Handler)
        self._server.daemon_threads = True
        self._address = self._server.server_address[:2]  # type: ignore[assignment]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """End all connections, and refuse new ones."""
        self.go_on.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def address(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    def respond(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request as `behaviour` says."""
        self.paths.append(request.path)
        content = self.name.encode()
        if self.behaviour == "close":
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        if self.behaviour == "freeze":
            self.go_on.wait(DEADLINE_SEC)
            request.close_connection = True
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if self.behaviour == "break off":
            request.wfile.write(content[:1])
            request.wfile.flush()
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        if self.behaviour == "wait":
            request.wfile.write(content[:1])
            request.wfile.flush()
            self.go_on.wait(DEADLINE_SEC)
            content = content[1:]
        with contextlib.suppress(OSError):
            request.wfile.write(content)


class Cluster:
    """Replicas of stream behind a gateway."""

    def __init__(self, folder: Path, replicas: list[Replica], addresses: str, **settings: str) -> None:
        self.replicas = {replica.name: replica for replica in replicas}
        nothing = dict.fromkeys(("auth", "catalog", "progress"), "127.0.0.1:1")
        self.gateway = Gateway(folder, {**nothing, "stream": addresses}, {**UNLIMITED, **settings})
        self.gateway.start()
        # A connection for each request: nginx closes those that are kept when it loads new addresses.
        connections = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=self.gateway.base_url, timeout=DEADLINE_SEC, limits=connections)

    def ask(self, video: str) -> str:
        """Return the name of the replica that answers."""
        answer = self.http.get(f"/api/videos/{video}/stream")
        assert answer.status_code == 200, answer.text
        return answer.text

    def home(self, video: str) -> Replica:
        return self.replicas[self.ask(video)]

    def homes(self) -> dict[str, str]:
        return {video: self.ask(video) for video in VIDEOS}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    with ExitStack() as stack:

        def make(count: int = 3, **settings: str) -> Cluster:
            replicas = [Replica(f"replica-{number}") for number in range(count)]
            for replica in replicas:
                stack.callback(replica.stop)
            cluster = Cluster(tmp_path / "gateway", replicas, ",".join(each.address for each in replicas), **settings)
            stack.callback(cluster.gateway.stop)
            stack.enter_context(cluster.http)
            return cluster

        yield make


def test_film_goes_to_one_replica_and_films_to_all_on_kept_connections(made: Callable[..., Cluster]) -> None:
    cluster = made(3)
    homes = cluster.homes()
    assert cluster.homes() == homes
    assert set(homes.values()) == set(cluster.replicas)
    # Every request came over the same few connections: one for each process of nginx at most.
    for replica in cluster.replicas.values():
        assert len(replica.connections) < len(replica.paths)
    video = VIDEOS[0]
    for path in (f"/api/videos/{video}/stream?start=3", f"/api/stream/{video}", f"/api/videos/{video}/lsv"):
        assert cluster.http.get(path).text == homes[video]


def test_films_of_a_replica_that_is_away_move_and_return(made: Callable[..., Cluster]) -> None:
    cluster = made(3)
    homes = cluster.homes()
    away = cluster.replicas[homes[VIDEOS[0]]]
    away.stop()
    moved = cluster.homes()
    assert away.name not in moved.values()
    assert all(moved[video] == home for video, home in homes.items() if home != away.name)
    away.start()
    until(lambda: cluster.ask(VIDEOS[0]) == away.name)
    assert cluster.homes() == homes


@pytest.mark.parametrize("behaviour", ["close", "freeze"])
def test_next_replica_answers_where_no_byte_came_and_the_failed_one_is_left_out(
    made: Callable[..., Cluster], behaviour: str
) -> None:
    cluster = made(3, GATEWAY_STREAM_SILENCE_SEC="1")
    video = VIDEOS[0]
    failing = cluster.home(video)
    asked = len(failing.paths)
    failing.behaviour = behaviour
    answers = {cluster.ask(video) for _ in range(5)}
    assert failing.name not in answers
    assert len(answers) == 1
    # Each process of nginx shares what it learned, so that one request waited.
    assert len(failing.paths) == asked + 1


def test_answer_that_has_begun_is_not_continued_by_another_replica(made: Callable[..., Cluster]) -> None:
    cluster = made(3)
    home = cluster.home(VIDEOS[0])
    home.behaviour = "break off"
    others = sum(len(replica.paths) for replica in cluster.replicas.values() if replica is not home)
    with pytest.raises(httpx.RemoteProtocolError):
        cluster.ask(VIDEOS[0])
    assert sum(len(replica.paths) for replica in cluster.replicas.values() if replica is not home) == others


def test_requests_beyond_the_bound_of_a_replica_go_to_others(made: Callable[..., Cluster]) -> None:
    cluster = made(2, MARQUEE_MAX_STREAMS="3")
    video = VIDEOS[0]
    home = cluster.home(video)
    home.behaviour = "wait"
    with ThreadPoolExecutor() as pool:
        # 5/4 of 3 sessions for 2 replicas, rounded up.
        held = [pool.submit(cluster.ask, video) for _ in range(2)]
        until(lambda: len(home.paths) == 3)
        assert cluster.ask(video) != home.name
        home.go_on.set()
        assert [future.result() for future in held] == [home.name] * 2


def test_bound_refuses_no_request(made: Callable[..., Cluster]) -> None:
    cluster = made(2, MARQUEE_MAX_STREAMS="1")
    for replica in cluster.replicas.values():
        replica.behaviour = "wait"
    with ThreadPoolExecutor() as pool:
        held = [pool.submit(cluster.ask, VIDEOS[0]) for _ in range(5)]
        until(lambda: sum(len(replica.paths) for replica in cluster.replicas.values()) == 5)
        for replica in cluster.replicas.values():
            replica.go_on.set()
        assert {future.result() for future in held} == set(cluster.replicas)


def test_without_any_replica_the_answer_says_so_and_returning_ones_answer_at_once(made: Callable[..., Cluster]) -> None:
    cluster = made(2)
    for replica in cluster.replicas.values():
        replica.stop()
    for _ in range(2):
        answer = cluster.http.get(f"/api/videos/{VIDEOS[0]}/stream")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert answer.headers["Retry-After"] == "2"
    for replica in cluster.replicas.values():
        replica.start()
    assert cluster.ask(VIDEOS[0]) in cluster.replicas


def test_replicas_of_a_name_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    replicas = [Replica(f"replica-{number}", (f"127.0.0.{number}", port)) for number in (2, 3, 4)]
    records, program = tmp_path / "records", tmp_path / "bin" / "getent"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$*" = "ahostsv4 stream.test" ] && cat {records}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/sbin:/usr/bin:/sbin:/bin")

    def publish(*numbers: int) -> None:
        # As getent prints them: each address three times, in no order.
        lines = [f"127.0.0.{number} {kind} stream.test\n" for number in numbers for kind in ("STREAM", "DGRAM", "RAW")]
        (tmp_path / "new").write_text("".join(lines))
        (tmp_path / "new").rename(records)

    publish(3, 2)
    try:
        cluster = Cluster(tmp_path / "gateway", replicas, f"stream.test:{port}", GATEWAY_LOOKUP_SEC="1")
        try:
            homes = cluster.homes()
            assert set(homes.values()) == {"replica-2", "replica-3"}
            publish(4, 2, 3)
            until(lambda: "replica-4" in cluster.homes().values())
            grown = cluster.homes()
            assert all(grown[video] in (home, "replica-4") for video, home in homes.items())
            # A name server that is away takes no replica away.
            publish()
            publish(3)
            until(lambda: set(cluster.homes().values()) == {"replica-3"})
        finally:
            cluster.http.close()
            cluster.gateway.stop()
    finally:
        for replica in replicas:
            replica.stop()
