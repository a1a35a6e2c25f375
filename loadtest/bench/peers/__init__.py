"""The compared servers: each serves the same files, with one worker on one core."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from loadtest.bench.client.jobs import Target
from loadtest.bench.media import Media, MediaFile
from loadtest.bench.processes import Process


@dataclass(frozen=True, slots=True)
class Place:
    """Folders and cores of the servers.

    Attributes:
        folder: for configuration and other small files.
        media: the served files.
        server_cores: for the measured server.
        other_cores: for everything else, including the load client.
    """

    folder: Path
    media: Media
    server_cores: frozenset[int]
    other_cores: frozenset[int]


class Peer(ABC):
    """One server."""

    name: ClassVar[str]
    """Its name on the command line and in results."""
    title: ClassVar[str]
    """Its name in tables."""
    description: ClassVar[str]
    """An exact description for readers."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.processes: list[Process] = []
        self.port = 0

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it serves.

        Raises:
            ProcessError: it does not start.
        """

    def stop(self) -> None:
        """Stop it."""
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()

    def close(self) -> None:
        """Stop it, and the services that it needs."""
        self.stop()

    def restart(self) -> None:
        """Restart it, without the memory that the allocator kept after earlier load."""
        self.stop()
        self.start()

    def pids(self) -> list[int]:
        """Return the processes whose time and memory count: the server, its children, and those it needs to answer."""
        return [pid for process in self.processes for pid in process.tree()]

    def target(self, file: MediaFile) -> Target:
        """Return the URL of a file on this server."""
        return Target(port=self.port, path=f"/{file.reference}", file_bytes=file.size)
