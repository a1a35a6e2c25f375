"""Session-wide real servers for pytest: `pytest_plugins = ["kit.testing.fixtures"]` in the top-level conftest.

Each is started by the first test that asks for it, and stopped when the session ends. Tests that stop or kill a
server start one of their own instead. What keeps tests apart on a shared server: a database each
(`postgres_server.create_database`), a virtual host each (`rabbit_server.vhost`), a key prefix each (Redis).
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from kit.testing.servers import PostgresServer, RabbitServer, RedisServer, S3Server, server_directory


@pytest.fixture(scope="session")
def servers_directory() -> Iterator[Path]:
    """Not one of pytest's own directories: those are closed to other users, and PostgreSQL may have to be one."""
    with server_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def postgres_server(servers_directory: Path) -> Iterator[PostgresServer]:
    """PostgreSQL, shared by the session."""
    with PostgresServer(servers_directory) as server:
        yield server


@pytest.fixture(scope="session")
def rabbit_server(servers_directory: Path) -> Iterator[RabbitServer]:
    """RabbitMQ, shared by the session."""
    with RabbitServer(servers_directory) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(servers_directory: Path) -> Iterator[RedisServer]:
    """Redis, shared by the session."""
    with RedisServer(servers_directory) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(servers_directory: Path) -> Iterator[S3Server]:
    """What speaks S3, shared by the session; a test has a bucket of its own."""
    with S3Server(servers_directory) as server:
        yield server


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """For tests that configure logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
