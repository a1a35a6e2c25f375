"""Real PostgreSQL, RabbitMQ and Redis as ordinary processes, for tests and for `make services`.

    with server_directory() as directory, PostgresServer(directory) as postgres:
        url = postgres.create_database("catalog")
        postgres.kill()     # as if the machine had lost power
        postgres.start()    # the same data on the same port

Each listens on a free loopback port and keeps its data below the directory that it is given. `guardian.py` sees to it
that none of them outlives the process that started it.
"""

from kit.testing.servers.ports import free_port
from kit.testing.servers.postgres import PostgresServer
from kit.testing.servers.process import GUARDIAN, Server
from kit.testing.servers.programs import ServerError, find_program, server_directory, wait_until
from kit.testing.servers.rabbit import RabbitServer
from kit.testing.servers.redis import RedisServer
from kit.testing.servers.s3 import S3Server, WrittenS3Server

__all__ = [
    "GUARDIAN",
    "PostgresServer",
    "RabbitServer",
    "RedisServer",
    "S3Server",
    "Server",
    "ServerError",
    "WrittenS3Server",
    "find_program",
    "free_port",
    "server_directory",
    "wait_until",
]
