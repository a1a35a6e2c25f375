"""Servers that all processes of a parallel test run share (pytest-xdist).

The first process of the run, the controller, owns the servers: it starts one when a worker first asks for it, and
stops all of them when the run ends. A worker gets a copy of the server object that knows ports and folders and can
make databases and virtual hosts, but starts and stops nothing.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from kit.testing.servers import Server, server_directory

Kind = TypeVar("Kind", bound=Server)


class SharedServers:
    """Start servers at the request of other processes; stop them at the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._servers: dict[type[Server], Server] = {}
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        self._directory = self._stack.enter_context(server_directory())
        self.address = self._directory / "requests"
        self._listener = Listener(str(self.address), family="AF_UNIX")
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        # A server that is just being started is waited for, so that it is stopped as well.
        with self._starting:
            self._stack.close()

    def _listen(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: Connection[Server | Exception, type[Server]]) -> None:
        with connection:
            try:
                answer: Server | Exception = self._get(connection.recv())
            except Exception as error:  # noqa: BLE001 - the worker raises it
                answer = error
            connection.send(answer)

    def _get(self, kind: type[Server]) -> Server:
        with self._starting:
            if kind not in self._servers:
                self._servers[kind] = self._stack.enter_context(kind(self._directory))
            return self._servers[kind]


def get_shared(address: Path, kind: type[Kind]) -> Kind:
    """Return the run's server of this kind, started now if it was not. Raise what its start raised."""
    connection: Connection[type[Kind], Kind | Exception] = Client(str(address), family="AF_UNIX")
    with connection:
        connection.send(kind)
        answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer
