"""One set of servers for all processes of a run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from kit.testing.servers import PostgresServer, RedisServer, Server, ServerError, free_port
from kit.testing.sharing import SharedServers, get_shared

LIBS = str(Path(__file__).parents[3])


def test_a_server_is_started_once_and_stopped_at_the_end() -> None:
    with SharedServers() as shared:
        first = get_shared(shared.address, RedisServer)
        assert get_shared(shared.address, RedisServer).port == first.port
        with redis.Redis.from_url(first.url) as client:
            assert client.ping()
    with redis.Redis.from_url(first.url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_borrowed_server_makes_databases() -> None:
    with SharedServers() as shared:
        url = get_shared(shared.address, PostgresServer).create_database("mine")
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("mine",)


def test_a_borrower_can_not_start_it(tmp_path: Path) -> None:
    borrowed: Server = pickle.loads(pickle.dumps(RedisServer(tmp_path)))  # noqa: S301 - made here
    with pytest.raises(ServerError, match="another process"):
        borrowed.start()


class Broken(RedisServer):
    def _command(self) -> list[str]:
        return ["/bin/false"]


def test_a_failing_start_raises_in_each_caller() -> None:
    with SharedServers() as shared, pytest.raises(ServerError, match="did not start"):
        get_shared(shared.address, Broken)


def test_a_port_of_one_process_is_not_handed_out_to_another() -> None:
    port = free_port()
    code = f"import kit.testing.servers.ports as s; print(s._reserve({port}), s._reserve(s.free_port()))"
    said = subprocess.check_output([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": LIBS})  # noqa: S603
    assert said.split() == [b"False", b"True"]
