"""What containers run every few seconds to tell whether they are healthy: right, and nearly free."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stacks.base import REPOSITORY

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]


def of_image() -> list[str]:
    text = (REPOSITORY / "Dockerfile").read_text()
    found = re.search(r"^HEALTHCHECK [^\n]*\\\n *CMD (\[.*\])$", text, re.MULTILINE)
    assert found
    command: list[str] = json.loads(found[1])
    return command


def run(command: list[str], port: int, instead_of: int, folder: Path) -> int:
    """Run a check against another port, with its mark in another folder, and without its pause."""
    changes = {f"/{instead_of}": f"/{port}", "/tmp/": f"{folder}/", "sleep 20": "touch waited"}
    for old, new in changes.items():
        assert any(old in part for part in command)
        command = [part.replace(old, new) for part in command]
    return subprocess.run(command, check=False, capture_output=True, timeout=60, cwd=folder).returncode


@contextmanager
def answering(status: HTTPStatus) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/readyz"
            assert self.headers["Host"] == "localhost"
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:  # bound, but nothing listens there
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(("status", "healthy"), [(HTTPStatus.OK, True), (HTTPStatus.SERVICE_UNAVAILABLE, False)])
def test_health_check_follows_readiness(status: HTTPStatus, healthy: bool, tmp_path: Path) -> None:
    with answering(status) as port:
        assert (run(of_image(), port, 8000, tmp_path) == 0) == healthy


def test_unreachable_service_is_unhealthy(closed_port: int, tmp_path: Path) -> None:
    assert run(of_image(), closed_port, 8000, tmp_path) != 0


def test_check_waits_only_after_a_success(closed_port: int, tmp_path: Path) -> None:
    """Starting takes no longer than it must, and a healthy container costs little."""
    waited = tmp_path / "waited"
    assert run(of_image(), closed_port, 8000, tmp_path) != 0
    with answering(HTTPStatus.OK) as port:
        assert run(of_image(), port, 8000, tmp_path) == 0
        assert not waited.exists()
        assert run(of_image(), port, 8000, tmp_path) == 0
    assert waited.exists()
    waited.unlink()
    assert run(of_image(), closed_port, 8000, tmp_path) != 0
    assert waited.exists()
    waited.unlink()
    assert run(of_image(), closed_port, 8000, tmp_path) != 0
    assert not waited.exists(), "what fails is looked at again soon"


def test_checks_of_all_containers_wait_after_a_success() -> None:
    tests = [str(each["healthcheck"].get("test", "")) for each in COMPOSE.values() if "healthcheck" in each]
    checks = [str(of_image()), *(test for test in tests if test)]
    assert len(checks) == 5
    assert all("if rm /tmp/healthy 2>/dev/null; then sleep 20; fi; " in check for check in checks)
    assert all("&& : > /tmp/healthy" in check for check in checks)


def test_listening_broker_is_healthy(closed_port: int, tmp_path: Path) -> None:
    kind, *command = COMPOSE["rabbitmq"]["healthcheck"]["test"]
    assert kind == "CMD"
    with socket.create_server(("127.0.0.1", 0)) as broker:
        assert run(command, broker.getsockname()[1], 5672, tmp_path) == 0
    assert run(command, closed_port, 5672, tmp_path) != 0


def test_health_checks_start_no_interpreter() -> None:
    commands = [of_image(), *(each.get("healthcheck", {}).get("test", []) for each in COMPOSE.values())]
    assert not [command for command in commands if re.search(r"python|rabbitmq-diagnostics|rabbitmqctl", str(command))]


def test_work_that_can_wait_has_a_lower_weight() -> None:
    jobs = {name for name in COMPOSE if name.endswith("-migrate")}
    assert {name for name, each in COMPOSE.items() if "cpu_shares" in each} == {"thumbnailer"} | jobs
    assert all(COMPOSE[name]["cpu_shares"] < 1024 for name in {"thumbnailer"} | jobs)
