"""Session-wide real servers for pytest: `pytest_plugins = ["kit.testing.fixtures"]` in the top-level conftest.

Each is started by the first test that asks for it, and stopped when the session ends. Tests that stop or kill a
server start one of their own instead. What keeps tests apart on a shared server: a database each
(`postgres_server.create_database`), a virtual host each (`rabbit_server.vhost`), a key prefix each (Redis).

In a parallel run (`pytest -n`) all workers share one PostgreSQL and one RabbitMQ. Redis and S3 start in a fraction of
a second, so each worker has its own; a test may flush Redis' scripts without disturbing other workers.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from kit.testing.servers import PostgresServer, RabbitServer, RedisServer, S3Server, WrittenS3Server, server_directory
from kit.testing.sharing import SharedServers, get_shared

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

_SHARED = pytest.StashKey[SharedServers]()
_ADDRESS = "shared_servers"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "WorkerController") -> None:
    """Tell a worker, before it starts, where to ask for the run's servers."""
    stash = node.config.stash
    if _SHARED not in stash:
        stash[_SHARED] = SharedServers().__enter__()
        node.config.add_cleanup(lambda: stash[_SHARED].__exit__(None, None, None))
    node.workerinput[_ADDRESS] = str(stash[_SHARED].address)


def _shared_address(config: pytest.Config) -> Path | None:
    """Return where this worker asks for servers, or None in a run of one process."""
    worker_input: dict[str, str] | None = getattr(config, "workerinput", None)
    return Path(worker_input[_ADDRESS]) if worker_input else None


@pytest.fixture(scope="session")
def servers_directory() -> Iterator[Path]:
    """Not one of pytest's own directories: those are closed to other users, and PostgreSQL may have to be one."""
    with server_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config, servers_directory: Path) -> Iterator[PostgresServer]:
    """PostgreSQL, shared by the run."""
    if address := _shared_address(pytestconfig):
        yield get_shared(address, PostgresServer)
        return
    with PostgresServer(servers_directory) as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server(pytestconfig: pytest.Config, servers_directory: Path) -> Iterator[RabbitServer]:
    """RabbitMQ, shared by the run."""
    if address := _shared_address(pytestconfig):
        yield get_shared(address, RabbitServer)
        return
    with RabbitServer(servers_directory) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(servers_directory: Path) -> Iterator[RedisServer]:
    """Redis, shared by the session."""
    with RedisServer(servers_directory) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(servers_directory: Path) -> Iterator[S3Server]:
    """Serve S3, shared by the session; each test has a bucket of its own."""
    with S3Server(servers_directory) as server:
        yield server


@pytest.fixture(scope="session")
def written_s3_server(servers_directory: Path) -> Iterator[WrittenS3Server]:
    """Serve S3, shared by the session; each test creates a bucket of its own by a request."""
    with WrittenS3Server(servers_directory) as server:
        yield server


def pytest_configure() -> None:
    """Log plainly before any test."""
    log_plainly()


def log_plainly() -> None:
    """Undo what configured logging. Tracebacks stay short.

    Without this, structlog has Rich draw tracebacks with all local variables where it is installed: seconds of work
    for each failing request.
    """
    structlog.reset_defaults()
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """For tests that configure logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    log_plainly()
