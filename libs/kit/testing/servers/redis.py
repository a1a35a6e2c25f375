"""A throw-away Redis."""

from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from kit.testing.servers.ports import LOOPBACK
from kit.testing.servers.process import Server
from kit.testing.servers.programs import find_program


class RedisServer(Server):
    """Redis. `append_only` decides whether every change is on disk before it is answered, as in production."""

    name = "redis"

    def __init__(self, directory: Path, *, append_only: bool = True) -> None:
        super().__init__(directory)
        self._append_only = append_only

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def _command(self) -> list[str]:
        return [
            str(find_program("redis-server", "redis-server")),
            *("--bind", LOOPBACK),
            *("--port", str(self.port)),
            *("--dir", str(self.directory)),
            *("--daemonize", "no"),
            *("--save", ""),
            *("--appendonly", "yes" if self._append_only else "no"),
            *("--appendfsync", "always"),
            *("--maxmemory-policy", "noeviction"),
        ]

    def _answers(self) -> bool:
        client = redis.Redis(host=LOOPBACK, port=self.port, socket_timeout=10, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except redis.RedisError:  # refused, or still loading its data
            return False
        finally:
            client.close()
