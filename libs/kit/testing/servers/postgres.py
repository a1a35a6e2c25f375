"""A throw-away PostgreSQL."""

import os
import pwd
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from kit.testing.servers.ports import LOOPBACK
from kit.testing.servers.process import Server
from kit.testing.servers.programs import ServerError, find_program


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
        """Return the URL of a database, as SQLAlchemy writes it."""
        return f"postgresql+psycopg://{self.user}@{LOOPBACK}:{self.port}/{quote(database, safe='')}"

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database; return its URL, as SQLAlchemy writes it.

        Args:
            name: of the new database.
            template: the database to copy, which nothing may be connected to; without it, the new one is empty.
        """
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        with self._connect() as connection:
            connection.execute(statement)
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, also while clients are connected to it. Do nothing if there is none."""
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
