"""Throw-away real servers, and the pytest fixtures that hand them to tests. Never part of a service's image."""

from kit.testing.servers import (
    PostgresServer,
    RabbitServer,
    RedisServer,
    S3Server,
    Server,
    ServerError,
    free_port,
    server_directory,
    wait_until,
)

__all__ = [
    "PostgresServer",
    "RabbitServer",
    "RedisServer",
    "S3Server",
    "Server",
    "ServerError",
    "free_port",
    "server_directory",
    "wait_until",
]
