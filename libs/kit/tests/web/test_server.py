"""How a process stops: step by step, with nothing lost that can be finished."""

from __future__ import annotations

import http.client
import resource
import signal
import time
from pathlib import Path

import pytest

from kit.tests.processes import DEADLINE_SEC, REQUEST, read_all, started, until
from kit.web.server import OPEN_FILES


def test_running_responses_are_completed(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        sock = server.connect("/file", receive_bytes=4096)
        first = sock.recv(1000)
        server.signal()
        until(lambda: not server.is_listening())
        body = (first + read_all(sock)).partition(b"\r\n\r\n")[2]
        assert body == server.content
        assert server.ends() == 0
        assert server.actions()[-1] == "service_stopped"
        assert "answers_cut_off" not in server.actions()


def test_raises_the_limit_of_open_files(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        with started(tmp_path) as server:
            allowed, _ = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert allowed == (OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard))
    assert allowed > 1024


def test_answers_during_the_notice_with_connection_close(tmp_path: Path) -> None:
    with started(tmp_path, drain_notice_sec="300") as server:
        kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_SEC)
        kept.request("GET", "/readyz")
        answer = kept.getresponse()
        assert (answer.status, answer.read()[:17], answer.getheader("connection")) == (200, b'{"status":"ready"', None)
        server.signal()
        until(lambda: server.get("/readyz").status == 503)
        # New connections are taken, and old ones answered for the last time.
        answer = server.get("/pid")
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        kept.request("GET", "/pid")
        answer = kept.getresponse()
        assert (answer.read(), answer.getheader("connection")) == (str(server.process.pid).encode(), "close")
        assert server.process.poll() is None
        server.signal()
        assert server.ends() == 0


def test_idle_connections_are_closed(tmp_path: Path) -> None:
    with started(tmp_path, drain_sec="300") as server:
        sock = server.connect("/pid")
        until(lambda: sock.recv(1000).endswith(str(server.process.pid).encode()))
        server.signal()
        assert sock.recv(1) == b""
        assert server.ends() == 0
        sock.close()


def test_pipelined_request_after_a_stop_is_the_last(tmp_path: Path) -> None:
    with started(tmp_path, drain_sec="300") as server:
        sock = server.connect("/file", receive_bytes=4096)
        first = sock.recv(1000)
        server.signal()
        until(lambda: not server.is_listening())
        sock.sendall(REQUEST.format(path="/pid").encode())
        received = first + read_all(sock)
        head, _, rest = received.partition(b"\r\n\r\n")
        assert b"connection: close" not in head
        assert rest[: len(server.content)] == server.content
        head, _, rest = rest[len(server.content) :].partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert rest == str(server.process.pid).encode()
        assert server.ends() == 0


@pytest.mark.parametrize("path", ["/file", "/deaf"])
def test_slow_response_is_cut_off(tmp_path: Path, path: str) -> None:
    with started(tmp_path, drain_sec="0.3") as server:
        sock = server.connect(path, receive_bytes=4096)
        if path == "/file":
            sock.recv(1)
        else:
            until(lambda: "asked" in server.actions())
        server.signal()
        assert server.ends() == 0
        body = read_all(sock).partition(b"\r\n\r\n")[2]
        assert server.content.startswith(body)
        assert len(body) < len(server.content)
        actions = server.actions()
        assert "answers_cut_off" in actions
        assert ("answer_cancelled" in actions) is (path == "/deaf")
        assert "Traceback" not in server.raw_log()
        assert actions[-1] == "service_stopped"


def test_hanging_thread_does_not_delay_the_end(tmp_path: Path) -> None:
    with started(tmp_path, drain_sec="0.1") as server:
        sock = server.connect("/dead-share")
        until(lambda: "asked" in server.actions())
        server.signal()
        assert read_all(sock) == b""
        assert server.ends() == 0
        assert server.log()[-1]["action"] == "threads_left_behind"
        assert server.log()[-1]["threads"] == ["share_0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("notice", ["0", "300"])
def test_second_signal_stops_at_once(tmp_path: Path, number: signal.Signals, notice: str) -> None:
    with started(tmp_path, drain_sec="300", drain_notice_sec=notice) as server:
        sock = server.connect("/file", receive_bytes=4096)
        sock.recv(1)
        server.signal(number)
        if notice == "0":
            until(lambda: not server.is_listening())
        else:
            until(lambda: server.get("/readyz").status == 503)
        before = time.monotonic()
        server.signal(number)
        assert server.ends() == 0
        # Far less than the five minutes that it would wait otherwise.
        assert time.monotonic() - before < DEADLINE_SEC
        assert "Traceback" not in server.raw_log()
        sock.close()
