"""Marquee as five processes on real, throw-away PostgreSQL, RabbitMQ and Redis, behind the real gateway.

python -m tests.stacks.services   runs it in the foreground, for developing without Docker
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from kit.testing.servers import PostgresServer, RabbitServer, RedisServer, WrittenS3Server, free_port, server_directory
from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, LONG_LOGIN, UNLIMITED, Process, Stack
from tests.stacks.gateway import Gateway

STATEFUL = ("auth", "catalog", "progress", "stream")
ORDER = ("auth", "catalog", "stream", "progress", "thumbnailer")


class ServicesStack(Stack):
    """Five processes and what they stand on; each can be killed and started again.

    Args:
        folder: for keys, logs and films.
        in_bucket: whether the media store is a bucket of S3 instead of a folder.
    """

    name = "services"

    def __init__(self, folder: Path, *, in_bucket: bool = False) -> None:
        self.folder = folder
        self.media = folder / "media"
        self._servers = server_directory()
        directory = self._servers.__enter__()
        self.s3 = WrittenS3Server(directory) if in_bucket else None
        if self.s3:
            # The server keeps objects as files.
            self.media = self.s3.buckets / "films" / "marquee"
        self.postgres = PostgresServer(directory)
        self.rabbit = RabbitServer(directory)
        self.redis = RedisServer(directory)
        self.processes: dict[str, Process] = {}
        self.ports: dict[str, int] = {}
        self._addresses: dict[str, str] = {}
        self.gateway: Gateway | None = None

    def start(self) -> None:
        """Starts the servers, migrates, starts the services and the gateway."""
        if self.s3:
            self.media.parent.mkdir(parents=True)
            self.s3.start()
        for server in (self.postgres, self.rabbit, self.redis):
            server.start()
        self.ports = ports = {name: free_port() for name in ORDER}
        self._addresses = addresses = {f"MARQUEE_{name.upper()}_ADDRESS": f"127.0.0.1:{free_port()}" for name in ORDER}
        databases = {name: self.postgres.create_database(name) for name in STATEFUL}
        for name in ORDER:
            self.processes[name] = self._process(name, ports[name], addresses, databases.get(name))
        for name in STATEFUL:
            self._migrate(name)
        for process in self.processes.values():
            process.start()
        self.gateway = Gateway(
            self.folder / "gateway",
            {name: f"127.0.0.1:{ports[name]}" for name in ("auth", "catalog", "stream", "progress")},
            # Who develops may put a proxy in front.
            {**UNLIMITED, "MARQUEE_TRUSTED_PROXIES": "127.0.0.1"},
        )
        self.gateway.start()
        self.base_url = self.gateway.base_url
        self.wait_healthy()

    def add_replica(self, name: str) -> tuple[Process, int]:
        """Return another process of a service, not started yet, and its HTTP port; who asks for it stops it."""
        port = free_port()
        addresses = {**self._addresses, f"MARQUEE_{name.upper()}_ADDRESS": f"127.0.0.1:{free_port()}"}
        database = self.postgres.url_of(name) if name in STATEFUL else None
        process = self._process(name, port, addresses, database)
        process.log = self.folder / f"{name}-{port}.log"
        return process, port

    def stop(self) -> None:
        """Stop everything: what others depend on comes last."""
        if self.gateway:
            self.gateway.stop()
        for process in self.processes.values():
            process.stop()
        for server in (self.redis, self.rabbit, self.postgres):
            server.stop()
        if self.s3:
            self.s3.stop()
        self._servers.__exit__(None, None, None)

    def _process(self, name: str, port: int, addresses: dict[str, str], database: str | None) -> Process:
        environment = {
            **addresses,
            "MARQUEE_HTTP_PORT": str(port),
            "MARQUEE_GRPC_BIND": addresses[f"MARQUEE_{name.upper()}_ADDRESS"],
            "MARQUEE_BROKER_URL": self.rabbit.url,
            **self._media_settings(name),
            "MARQUEE_TRUSTED_PROXIES": "127.0.0.1",
            **UNLIMITED,
        }
        if database:
            environment["MARQUEE_DATABASE_URL"] = database
        if name == "auth":
            environment |= {
                "MARQUEE_ADMIN_LOGIN": ADMIN_LOGIN,
                "MARQUEE_ADMIN_PASSWORD": ADMIN_PASSWORD,
                **LONG_LOGIN,
                "MARQUEE_SIGNING_KEY_FILE": str(self.folder / "signing.json"),
                "MARQUEE_REDIS_URL": self.redis.url,
            }
        if name == "stream":
            environment |= {
                "MARQUEE_REDIS_URL": self.redis.url,
                "MARQUEE_SESSION_IDLE_SEC": "12",
                # Tests come as many clients of one administrator.
                "MARQUEE_MAX_STREAMS_PER_USER": "100",
                "MARQUEE_TICKET_KEY_FILE": str(self.folder / "tickets.key"),
                "MARQUEE_LSV_MASTER_KEY_FILE": str(self.folder / "lsv-master.key"),
            }
        command = [sys.executable, "-m", f"services.{name}", "serve"]
        return Process(name, command, environment, self.folder / f"{name}.log")

    def _media_settings(self, name: str) -> dict[str, str]:
        if self.s3 is None:
            return {"MARQUEE_MEDIA_URL": self.media.as_uri()}
        settings = {
            "MARQUEE_MEDIA_URL": "s3://films/marquee",
            "MARQUEE_S3_ENDPOINT_URL": self.s3.url,
            "MARQUEE_S3_ACCESS_KEY_ID": self.s3.access_key_id,
            "MARQUEE_S3_SECRET_ACCESS_KEY": self.s3.secret_access_key,
        }
        return settings | ({"MARQUEE_STAGING_DIR": str(self.folder / "staging")} if name == "thumbnailer" else {})

    def _migrate(self, name: str) -> None:
        migration = self.processes[name].variant("migrate")
        migration.start()
        status = migration.wait(180)
        assert status == 0, migration.output()


def main() -> None:
    """Runs the stack until Ctrl-C or SIGTERM, also while it is still starting."""
    os.umask(0o022)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory(prefix="marquee-services-") as folder,
        ServicesStack(Path(folder)) as stack,
    ):
        sys.stdout.write(f"Marquee is ready: {stack.base_url}\nLogin: {ADMIN_LOGIN}   password: {ADMIN_PASSWORD}\n")
        sys.stdout.write(f"Logs are in {folder}; everything there is thrown away at the end. Stop with Ctrl-C.\n")
        sys.stdout.flush()
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
