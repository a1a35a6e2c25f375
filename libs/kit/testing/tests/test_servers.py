import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pika
import psycopg
import pytest
import redis
from psycopg import sql

from kit.testing import servers
from kit.testing.guardian import descendants
from kit.testing.servers import (
    PostgresServer,
    RabbitServer,
    RedisServer,
    Server,
    ServerError,
    free_port,
    server_directory,
    wait_until,
)

NOT_FOUND = 404
"""Reply code of AMQP 0-9-1."""

pytest_plugins = ["kit.testing.fixtures"]


@pytest.fixture
def directory() -> Iterator[Path]:
    with server_directory() as path:
        yield path


def driver_url(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def everything_of(server: Server) -> list[int]:
    """The server's process and all that it and its guardian started, RabbitMQ's epmd too."""
    guardian = int(Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[1])
    return [guardian, *descendants(guardian)]


def test_postgres_keeps_committed_rows_through_kill(directory: Path) -> None:
    with PostgresServer(directory) as server:
        url = server.create_database("shop")
        connection = psycopg.connect(driver_url(url))
        connection.execute("CREATE TABLE item (name text)")
        connection.execute("INSERT INTO item VALUES ('kept')")
        connection.commit()
        connection.execute("INSERT INTO item VALUES ('never committed')")
        processes = everything_of(server)
        server.kill()
        connection.close()
        assert not [pid for pid in processes if alive(pid)]
        port = server.port
        server.start()
        assert server.port == port
        with psycopg.connect(driver_url(url)) as connection:
            assert connection.execute("SELECT name FROM item").fetchall() == [("kept",)]
        processes = everything_of(server)
    assert not [pid for pid in processes if alive(pid)]


def test_postgres_knows_letters_beyond_ascii(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database("korean")
    with psycopg.connect(driver_url(url), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
        found = connection.execute(
            "SELECT current_setting('server_encoding'), current_setting('lc_ctype'), show_trgm('영화') <> '{}',"
            " upper('é')"
        ).fetchone()
    assert found == ("UTF8", "C.UTF-8", True, "É")
    postgres_server.drop_database("korean")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(driver_url(url))


def test_postgres_takes_any_database_name(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database('odd "name" / %')
    with psycopg.connect(driver_url(url)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ('odd "name" / %',)
        connection.execute(sql.SQL("SELECT 1"))


def test_postgres_says_which_folder_is_closed_when_root_starts_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ServerError, match=rf"cannot enter {closed}: use a directory from server_directory"):
        PostgresServer(closed).start()


def first_message(url: str, queue: str, limit_sec: float = 120) -> bytes:
    """Return the first message of a queue that may still be recovering: until then the broker answers NOT_FOUND."""
    deadline = time.monotonic() + limit_sec
    while True:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        try:
            for _, _, body in connection.channel().consume(queue, inactivity_timeout=limit_sec):
                assert body is not None, f"no message within {limit_sec:.0f} s"
                return bytes(body)
        except pika.exceptions.ChannelClosedByBroker as error:
            if error.reply_code != NOT_FOUND or time.monotonic() > deadline:
                raise
        finally:
            connection.close()


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_rabbitmq_keeps_confirmed_messages_through_kill(directory: Path, kind: str) -> None:
    with RabbitServer(directory) as server:
        connection = pika.BlockingConnection(pika.URLParameters(server.vhost("shop")))
        channel = connection.channel()
        channel.queue_declare("orders", durable=True, arguments={"x-queue-type": kind})
        channel.confirm_delivery()
        channel.basic_publish("", "orders", b"kept", pika.BasicProperties(delivery_mode=2), mandatory=True)
        server.sync()
        processes = everything_of(server)
        assert any("epmd" in Path(f"/proc/{pid}/cmdline").read_text() for pid in processes)
        server.kill()
        assert not [pid for pid in processes if alive(pid)]

        server.start()
        delivered = first_message(server.url_of("shop"), "orders")
        assert delivered == b"kept"
        processes = everything_of(server)
    assert not [pid for pid in processes if alive(pid)]


def test_virtual_hosts_are_apart(rabbit_server: RabbitServer) -> None:
    one, other = (pika.BlockingConnection(pika.URLParameters(rabbit_server.vhost(name))) for name in ("one", "other"))
    one.channel().queue_declare("only-here", durable=True)
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"):
        other.channel().queue_declare("only-here", passive=True)
    one.close()
    other.close()


def test_a_failing_call_into_the_broker_is_an_error(rabbit_server: RabbitServer) -> None:
    with pytest.raises(ServerError, match="no_such_vhost"):
        rabbit_server.evaluate(
            'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"?">>, <<>>, <<>>, <<>>, <<>>).'
        )


def test_redis_keeps_its_keys_through_kill(directory: Path) -> None:
    with RedisServer(directory) as server:
        redis.Redis.from_url(server.url).set("key", "kept")
        server.kill()
        server.start()
        assert redis.Redis.from_url(server.url).get("key") == b"kept"
        server.stop()
        server.start()
        assert redis.Redis.from_url(server.url).get("key") == b"kept"
        processes = everything_of(server)
    assert not [pid for pid in processes if alive(pid)]


def test_redis_without_append_only_forgets(directory: Path) -> None:
    with RedisServer(directory, append_only=False) as server:
        redis.Redis.from_url(server.url).set("key", "lost")
        server.kill()
        server.start()
        assert redis.Redis.from_url(server.url).get("key") is None


def test_a_paused_server_answers_after_it_is_resumed(directory: Path) -> None:
    with RedisServer(directory) as server:
        client = redis.Redis.from_url(server.url, socket_timeout=0.2)
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert wait_until(client.ping, "the resumed server answers", 60)


def test_a_paused_server_can_be_stopped(directory: Path) -> None:
    with RedisServer(directory) as server:
        server.pause()
        pid = server.pid
        server.stop()
        assert not alive(pid)


def test_nothing_survives_the_process_that_started_it(directory: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from kit.testing import RedisServer, PostgresServer\n"
        "running = [kind(Path(sys.argv[1])).start() for kind in (RedisServer, PostgresServer)]\n"
        "print(*(server.pid for server in running), flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert starter.stdout is not None
    assert starter.stdin is not None
    pids = [int(word) for word in starter.stdout.readline().split()]
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdin.close()
    starter.stdout.close()
    wait_until(lambda: not any(alive(pid) for pid in pids), "the servers are gone", 60)


def test_nothing_survives_its_guardian(directory: Path) -> None:
    with RedisServer(directory) as server:
        pid = server.pid
        os.kill(everything_of(server)[0], signal.SIGKILL)
        wait_until(lambda: not alive(pid), "the server is gone", 60)


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(ServerError, match=r"`apt-get install something`, or run scripts/install-test-tools\.sh"):
        servers.find_program("no-such-program", "something", ("usr/lib/no-such-program/*/bin/x",))


def test_a_failed_start_shows_the_log(directory: Path) -> None:
    server = RedisServer(directory)
    said = r"(?s)did not start: its process ended.*Address already in use"
    with socket.create_server(("127.0.0.1", server.port)), pytest.raises(ServerError, match=said):
        server.start()
    assert not server.running


def test_a_server_is_started_once(directory: Path) -> None:
    with RedisServer(directory) as server, pytest.raises(ServerError, match="running already"):
        server.start()
    with pytest.raises(ServerError, match="not running"):
        _ = server.pid
    server.stop()


def test_ports_are_not_those_of_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert max(ports) < lowest


def test_waiting_ends_at_the_deadline() -> None:
    with pytest.raises(TimeoutError, match=r"never: not within 0.05 s"):
        wait_until(lambda: None, "never", 0.05)
