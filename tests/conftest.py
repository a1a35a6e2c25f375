"""The stacks that the black-box suites run against, each started once, and the films they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.client import Client, make_film
from tests.scheduling import StackScheduling, scope_of
from tests.stacks.base import Stack
from tests.stacks.compose import ComposeStack
from tests.stacks.embedded import EmbeddedStack
from tests.stacks.services import ServicesStack

STACKS: dict[str, Callable[[Path], Stack]] = {
    "embedded": EmbeddedStack,
    "services": ServicesStack,
    "compose": ComposeStack,
}

ALL_STACKS = tuple(STACKS)
IN_ONE_PROCESS = pytest.mark.parametrize("stack", ["embedded"], indirect=True)
"""For tests of pages. The site is the same files in every installation, and what it calls runs in containers, too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the containers, which take longest, and end with the many short tests, which fill what is left."""
    items.sort(key=lambda item: (scope_of(item.nodeid) != "compose", item.nodeid.startswith("tests/contract/")))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> StackScheduling:
    """Keep what shares a stack in one process of a parallel run."""
    return StackScheduling(config, log)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of twelve seconds, ready to play from its first byte."""
    return make_film(tmp_path_factory.mktemp("films") / "night train.mp4")


@pytest.fixture(scope="session")
def slow_start_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film whose index is at its end."""
    return make_film(tmp_path_factory.mktemp("films") / "늦은 색인.mp4", faststart=False, source="smptebars")


@pytest.fixture(scope="session", params=["embedded", "compose"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Marquee in one process, and in containers: the two ways that differ in every adapter.

    Five processes without containers run the same code with the same adapters and the same gateway as containers do; a
    test that should run there too says so with `@pytest.mark.parametrize("stack", ALL_STACKS, indirect=True)`.
    """
    with STACKS[request.param](tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Iterator[Client]:
    """The administrator, logged in."""
    client = Client(stack.base_url)
    yield client
    client.close()
