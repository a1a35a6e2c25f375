"""Another version takes over in containers, on a real engine: no request fails, and nothing is left that doesn't start.

Both versions have the code of this checkout: what differs between two releases is tested where it is written. With
MARQUEE_TEST_DEPTH=deep it is killed at more steps, takes all services in turn, and waits for thousands of requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kit.testing.depth import is_deep
from tests.e2e.client import Client
from tests.e2e.steady_load import SteadyLoad
from tests.stacks.compose import VERSION, ComposeStack

NEXT = "test-next"
KILLED_AFTER = ["catalog: stopping one"]
ALSO_KILLED_AFTER = [
    "databases are migrated",
    "progress: starting beside",
    "stream: ready",
    "stream: stopping one",
    "auth: ready",
]


@pytest.fixture(scope="module")
def admin(stack: ComposeStack) -> Iterator[Client]:
    stack.make_version(NEXT)
    client = Client(stack.base_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def video_id(admin: Client, film: Path) -> str:
    return str(admin.await_status(admin.upload(film, "watched during an upgrade"), "ready")["id"])


def serves(stack: ComposeStack, version: str) -> bool:
    return httpx.get(f"{stack.base_url}/version.txt", timeout=60).text.strip() == version


@pytest.mark.parametrize("stack", ["compose"], indirect=True)
def test_killed_upgrades_and_the_way_back_lose_no_request(stack: ComposeStack, admin: Client, video_id: str) -> None:
    with SteadyLoad(admin, video_id) as load:
        for step in KILLED_AFTER + (ALSO_KILLED_AFTER if is_deep() else []):
            stack.upgrade(NEXT, kill_after=step)
        if is_deep():
            stack.upgrade(NEXT)
            assert stack.versions() == {NEXT}
            assert serves(stack, NEXT)
        stack.upgrade("--back")
        while is_deep() and load.answered < 2_000:
            stack.upgrade(NEXT)
            stack.upgrade("--back")
    assert load.failures == []
    assert load.answered >= 100
    assert stack.versions() == {VERSION}
    assert len(stack.replicas("stream")) == 2


@pytest.mark.parametrize("stack", ["compose"], indirect=True)
def test_all_starts_after_an_upgrade_that_never_ended_and_a_second_start_touches_nothing(
    stack: ComposeStack, admin: Client, video_id: str
) -> None:
    before = stack.containers()
    stack.upgrade(NEXT, kill_after="catalog: starting beside")
    stack.compose("up", "--detach", "--wait")
    assert stack.versions() == {NEXT}
    stack.wait_healthy()
    assert serves(stack, NEXT)
    running = stack.containers()
    assert len(running) == 10, "one of each, and two of stream"
    kept = {name for name, container in running.items() if before.get(name) == container}
    assert {name.split("-")[-2] for name in kept} == {"postgres", "rabbitmq", "redis"}
    stack.compose("up", "--detach", "--wait")
    assert stack.containers() == running
    assert admin.video(video_id)["status"] == "ready"
