"""A throw-away RabbitMQ."""

import os
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

from pika import BlockingConnection, ConnectionParameters, PlainCredentials
from pika.exceptions import AMQPError

from kit.testing.servers.ports import LOOPBACK, free_port
from kit.testing.servers.process import Server
from kit.testing.servers.programs import ServerError, find_program


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
        """Return the URL of a virtual host."""
        # "/" is the default, and most clients read an empty path as that one.
        path = "" if vhost == "/" else quote(vhost, safe="")
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}/{path}"

    def vhost(self, name: str) -> str:
        """Create a virtual host, where a test meets no queue or exchange of another; return its URL."""
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
        # Settings of the machine's own broker must not reach this one.
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
