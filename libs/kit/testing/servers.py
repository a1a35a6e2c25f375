"""Real PostgreSQL, RabbitMQ and Redis as ordinary processes, for tests and for `make services`.

    with server_directory() as directory, PostgresServer(directory) as postgres:
        url = postgres.create_database("catalog")
        postgres.kill()     # as if the machine had lost power
        postgres.start()    # the same data on the same port

Each listens on a free loopback port and keeps its data below the directory that it is given. `guardian.py` sees to it
that none of them outlives the process that started it.
"""

import contextlib
import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import psycopg
import redis
from pika import BlockingConnection, ConnectionParameters, PlainCredentials
from pika.exceptions import AMQPError
from psycopg import sql
from redis.backoff import NoBackoff
from redis.retry import Retry

LOOPBACK = "127.0.0.1"
GUARDIAN = Path(__file__).with_name("guardian.py")

Answer = TypeVar("Answer")

_handed_out: set[int] = set()
_reservations: list[int] = []


class ServerError(RuntimeError):
    """A server could not be found, started or stopped. The message says what to do or holds the end of its log."""


def wait_until(probe: Callable[[], Answer | None], what: str, timeout: float, interval: float = 0.02) -> Answer:
    """The first answer of `probe` that is neither None nor False. The only place here that ever sleeps."""
    deadline = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)


def free_port() -> int:
    """A loopback port that nobody listens on.

    It lies below the range that the system gives to outgoing connections. A port from that range could be taken by
    any client while its server is down, even by the client that keeps trying to reach that very server.
    """
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = range(min(15_000, lowest_outgoing // 2), lowest_outgoing)
    while True:
        port = random.choice(candidates)  # noqa: S311 - no secret
        if port in _handed_out or not _reserve(port):
            continue
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((LOOPBACK, port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


def _reserve(port: int) -> bool:
    """Keep the port from other test processes of this user until this one ends. False when one of them has it.

    A server that is about to start, or that a test has stopped for a while, does not occupy its port.
    """
    if not _reservations:
        path = Path(tempfile.gettempdir()) / f"marquee-test-ports-{os.getuid()}"
        _reservations.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    try:
        fcntl.lockf(_reservations[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def server_directory() -> Iterator[Path]:
    """A temporary directory that other users can enter, as PostgreSQL needs when the tests run as root."""
    directory = Path(tempfile.mkdtemp(prefix="marquee-servers-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def find_program(name: str, package: str, patterns: tuple[str, ...] = ()) -> Path:
    """A program from the given places (the highest version of a pattern) or from PATH."""
    for pattern in patterns:
        found = [path for path in Path("/").glob(pattern) if os.access(path, os.X_OK)]
        if found:
            return max(found, key=_version_order)
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/usr/local/sbin"):
        candidate = Path(folder) / name
        if folder and os.access(candidate, os.X_OK):
            return candidate
    raise ServerError(f"{name} is not installed: `apt-get install {package}`, or run scripts/install-test-tools.sh")


def _version_order(path: Path) -> list[int]:
    digits = "".join(letter if letter.isdigit() else " " for letter in str(path))
    return [int(number) for number in digits.split()]


class Server(ABC):
    """One server process: started, stopped, killed, paused; the port and the data stay."""

    name: str
    start_timeout = 60.0
    stop_timeout = 20.0
    polite_signal: signal.Signals = signal.SIGTERM

    def __init__(self, directory: Path) -> None:
        if not sys.platform.startswith("linux"):
            raise ServerError("throw-away servers need Linux")
        self.directory = directory.resolve() / self.name
        self.port = free_port()
        self.log_file = self.directory / "server.log"
        self._guardian: subprocess.Popen[bytes] | None = None
        self._server_pid = 0
        self._borrowed = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to use the server; starting and stopping stay with this one."""
        return self.__dict__ | {"_guardian": None, "_borrowed": True}

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server does its real work for a client now."""

    def _prepare(self) -> None:  # noqa: B027 - most need nothing
        """What must exist before the first start. Must do nothing on later ones."""

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    @property
    def _account(self) -> pwd.struct_passwd | None:
        """Who runs the server, when not we ourselves."""
        return None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._guardian is not None and self._guardian.poll() is None

    @property
    def pid(self) -> int:
        """The server's own process."""
        if not self.running:
            raise ServerError(f"{self.name} is not running")
        return self._server_pid

    def start(self) -> Self:
        """Starts it on its data and its port, and waits until it serves clients."""
        if self._borrowed:
            raise ServerError(f"{self.name} belongs to another process: a test that starts one makes its own")
        if self.running:
            raise ServerError(f"{self.name} is running already")
        self.directory.mkdir(parents=True, exist_ok=True)
        account = self._account
        if account is not None:
            _let_in(self.directory, account)
        command = self._command()
        self._prepare()
        identity = f"{account.pw_uid}:{account.pw_gid}" if account else ""
        with self.log_file.open("ab") as log:
            self._guardian = subprocess.Popen(  # noqa: S603 - made above
                [sys.executable, "-I", "-S", str(GUARDIAN), str(int(self.polite_signal)), identity, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.directory,
                env=self._environment(),
                # A terminal's Ctrl-C must not reach the guardian before the test run has cleaned up.
                start_new_session=True,
            )
        try:
            self._server_pid = self._reported_pid()
            wait_until(self._ready, f"{self.name} answers", self.start_timeout)
        except BaseException as error:
            self.kill()
            if isinstance(error, (TimeoutError, ServerError)):
                raise ServerError(f"{self.name} did not start: {error}\n{self._log_end()}") from error
            raise
        return self

    def stop(self) -> None:
        """Shut down in good order, within `stop_timeout`. Stopping what is not running does nothing."""
        self._order(b"CT")
        try:
            self._wait_gone(self.stop_timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(
                f"{self.name} did not stop within {self.stop_timeout:g} s and was killed\n{self._log_end()}"
            ) from None

    def kill(self) -> None:
        """SIGKILL for the server and everything it started, at once."""
        self._order(b"K")
        self._wait_gone(self.stop_timeout)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered."""
        self._order(b"S")
        wait_until(lambda: _state(self._server_pid) == "T", f"{self.name} is frozen", 60)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._order(b"C")

    def _reported_pid(self) -> int:
        if self._guardian is None or self._guardian.stdout is None:
            raise ServerError("its guardian is gone")
        return int(self._guardian.stdout.readline() or b"0")

    def _ready(self) -> bool:
        if not self.running:
            raise ServerError("its process ended")
        return self._answers()

    def _order(self, letters: bytes) -> None:
        if self._guardian is None or self._guardian.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):  # it is gone already
            self._guardian.stdin.write(letters)
            self._guardian.stdin.flush()

    def _wait_gone(self, timeout: float) -> None:
        if self._guardian is None:
            return
        self._guardian.wait(timeout)
        for pipe in (self._guardian.stdin, self._guardian.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._guardian = None

    def _log_end(self) -> str:
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(lines[-30:])

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self.stop()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _let_in(directory: Path, account: pwd.struct_passwd) -> None:
    for folder in directory.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise ServerError(
                f"{account.pw_name}, who runs the server because it refuses root, cannot enter {folder}: "
                "use a directory from server_directory()"
            )
    os.chown(directory, account.pw_uid, account.pw_gid)


class PostgresServer(Server):
    """PostgreSQL with one superuser, `postgres`, trusted on the loopback."""

    name = "postgres"
    user = "postgres"
    polite_signal = signal.SIGINT  # "fast": open transactions are rolled back, clients are disconnected

    @property
    def url(self) -> str:
        """The URL of its own database, `postgres`."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The URL of a database, as SQLAlchemy writes it."""
        return f"postgresql+psycopg://{self.user}@{LOOPBACK}:{self.port}/{quote(database, safe='')}"

    def create_database(self, name: str) -> str:
        """A new, empty database; the answer is its URL, as SQLAlchemy writes it."""
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Also while clients are connected to it. Dropping what is not there does nothing."""
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=LOOPBACK, port=self.port, user=self.user, dbname="postgres", autocommit=True, connect_timeout=5
        )

    @property
    def _account(self) -> pwd.struct_passwd | None:
        if os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam("postgres")
        except KeyError:
            return pwd.getpwnam("nobody")

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _program(self, name: str) -> str:
        return str(find_program(name, "postgresql", (f"usr/lib/postgresql/*/bin/{name}",)))

    def _prepare(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        account = self._account
        # Not `subprocess`'s own `user=`: that forks, and gRPC's threads don't always let the child of a fork live.
        become = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"] if account else []
        made = subprocess.run(  # noqa: S603 - fixed arguments
            [
                *(["setpriv", *become] if become else []),
                self._program("initdb"),
                f"--pgdata={self._data}",
                f"--username={self.user}",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                # Byte order for sorting, but letters are letters: trigram search needs that for anything not ASCII.
                "--lc-ctype=C.UTF-8",
                "--no-sync",
            ],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise ServerError(f"initdb failed: {made.stdout}{made.stderr}")

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "400",
            "shared_buffers": "32MB",
            # A killed process loses nothing that the kernel has; only a lost machine would, and then the data is
            # of no use either.
            "fsync": "off",
            "full_page_writes": "off",
            # Inside the data directory, so that a killed server leaves nothing in /dev/shm.
            "dynamic_shared_memory_type": "mmap",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [self._program("postgres"), "-D", str(self._data), *options]

    def _answers(self) -> bool:
        try:
            with self._connect() as connection:
                return connection.execute("SELECT 1").fetchone() is not None
        except psycopg.OperationalError:
            return False


class RabbitServer(Server):
    """RabbitMQ 3.10 or later, one node, user `guest`."""

    name = "rabbitmq"
    start_timeout = 90.0
    stop_timeout = 40.0

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._distribution_port = free_port()
        self._epmd_port = free_port()

    @property
    def url(self) -> str:
        """The URL of the default virtual host."""
        return self.url_of("/")

    def url_of(self, vhost: str) -> str:
        """The URL of a virtual host."""
        # "/" is the default, and most clients read an empty path as that one.
        path = "" if vhost == "/" else quote(vhost, safe="")
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}/{path}"

    def vhost(self, name: str) -> str:
        """A new virtual host, where a test meets no queue or exchange of another; the answer is its URL."""
        binary = f'<<"{name}">>'
        self.evaluate(
            f'rabbit_vhost:add({binary}, <<"guest">>), '
            f"rabbit_auth_backend_internal:set_permissions("
            f'<<"guest">>, {binary}, <<".*">>, <<".*">>, <<".*">>, <<"guest">>).'
        )
        return self.url_of(name)

    def sync(self) -> None:
        """Put the state of new quorum queues on disk. Call it between declaring one and `kill`.

        RabbitMQ 3.10 itself does so every five seconds only. A queue on a single node that is killed before that
        never elects a leader again, however safe its messages are.
        """
        self.evaluate("[ok = dets:sync(Table) || Table <- dets:all()].")

    def evaluate(self, expressions: str) -> str:
        """Evaluate Erlang inside the node: what `rabbitmqctl` does in seconds takes milliseconds this way."""
        evaluated = subprocess.run(  # noqa: S603 - fixed arguments
            [
                str(find_program("erl_call", "erlang-base")),
                *("-sname", self._node),
                *("-c", (self.directory / ".erlang.cookie").read_text()),
                "-e",
            ],
            env=self._environment(),
            input=f"{expressions}\n",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        answer = evaluated.stdout.strip()
        # Functions of the broker report a failure as a value.
        if evaluated.returncode != 0 or not answer.startswith("{ok,") or "{error," in answer:
            raise ServerError(f"in the broker: {expressions} gave {answer} {evaluated.stderr.strip()}")
        return answer

    @property
    def _node(self) -> str:
        return f"marquee{self.port}@localhost"

    def _prepare(self) -> None:
        (self.directory / "enabled_plugins").write_text("[].\n")
        (self.directory / "rabbitmq.conf").write_text(
            "vm_memory_high_watermark.absolute = 512MB\n"
            "disk_free_limit.absolute = 50MB\n"
            "log.console = true\n"
            "log.console.level = info\n"
            "log.file = false\n"
        )

    def _environment(self) -> dict[str, str]:
        # Whatever the machine's own broker is told must not reach this one.
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("RABBITMQ_", "ERL_")) and key != "NOTIFY_SOCKET"
        }
        return inherited | {
            "HOME": str(self.directory),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_BASE": str(self.directory),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            # No spinning while idle: the cores belong to the tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
            # The start script then becomes the server instead of waiting beside it, so that signals reach it.
            "RUNNING_UNDER_SYSTEMD": "true",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
        }

    def _command(self) -> list[str]:
        # Not the wrapper that packages put into /usr/sbin: it insists on a user of its own.
        patterns = ("usr/lib/rabbitmq/bin/rabbitmq-server", "usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")
        return [str(find_program("rabbitmq-server", "rabbitmq-server", patterns))]

    def _answers(self) -> bool:
        # A refused connection would be a wall of tracebacks in the log of the client library: look first.
        with socket.socket() as trial:
            trial.settimeout(5)
            if trial.connect_ex((LOOPBACK, self.port)) != 0:
                return False
        parameters = ConnectionParameters(
            host=LOOPBACK,
            port=self.port,
            credentials=PlainCredentials("guest", "guest"),
            socket_timeout=5,
            stack_timeout=10,
            blocked_connection_timeout=5,
        )
        try:
            connection = BlockingConnection(parameters)
            connection.channel()
            connection.close()
        except (AMQPError, OSError):
            return False
        return True


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


class S3Server(Server):
    """What speaks S3: rclone over a folder, whose folders are the buckets. It checks signatures."""

    name = "s3"
    access_key_id = "marquee"
    secret_access_key = "not-a-secret"  # noqa: S105 - of a throw-away server

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def buckets(self) -> Path:
        """The folder of the buckets."""
        return self.directory / "buckets"

    def _prepare(self) -> None:
        self.buckets.mkdir(exist_ok=True)

    def _command(self) -> list[str]:
        return [
            # A wheel of the developers' tools, beside the interpreter.
            str(find_program("rclone", "rclone", (f"{sys.prefix[1:]}/bin/rclone",))),
            *("serve", "s3", "--config", os.devnull),
            *("--addr", f"{LOOPBACK}:{self.port}"),
            *("--auth-key", f"{self.access_key_id},{self.secret_access_key}"),
            *("--etag-hash", "MD5"),
            # Files change under it: nothing of them is remembered.
            *("--dir-cache-time", "0s", "--vfs-cache-mode", "off"),
            str(self.buckets),
        ]

    def _answers(self) -> bool:
        with socket.socket() as trial:
            trial.settimeout(5)
            return trial.connect_ex((LOOPBACK, self.port)) == 0
