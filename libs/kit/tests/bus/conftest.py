"""One real broker for this folder, and for no other: its tests cut it off, starve it and kill it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from kit.testing.servers import RabbitServer, server_directory

pytest.register_assert_rewrite("kit.testing.bus_contract")


@pytest.fixture(scope="session")
def broker() -> Iterator[RabbitServer]:
    with server_directory() as directory, RabbitServer(directory) as server:
        yield server


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A line for each event and a traceback for each failure would bury what pytest has to say."""
    with capture_logs():
        yield
