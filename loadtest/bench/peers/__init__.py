"""The servers that are compared: each offers the same files, with one worker on one core."""

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
    """Where servers run.

    Attributes:
        folder: for configuration and other small files.
        media: what they serve.
        server_cores: for the server that is measured.
        other_cores: for everything else, the load client among it.
    """

    folder: Path
    media: Media
    server_cores: frozenset[int]
    other_cores: frozenset[int]


class Peer(ABC):
    """One server."""

    name: ClassVar[str]
    """On the command line and in results."""
    title: ClassVar[str]
    """In tables."""
    description: ClassVar[str]
    """For readers who want to know exactly."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.processes: list[Process] = []
        self.port = 0

    @abstractmethod
    def start(self) -> None:
        """Starts it and waits until it serves.

        Raises:
            ProcessError: it does not.
        """

    def stop(self) -> None:
        """Ends it."""
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()

    def close(self) -> None:
        """Ends it, and what it stands on."""
        self.stop()

    def restart(self) -> None:
        """A fresh process, without what the allocator kept of earlier load."""
        self.stop()
        self.start()

    def pids(self) -> list[int]:
        """The processes whose time and memory count: the server, all it started, and any it can't answer without."""
        return [pid for process in self.processes for pid in process.tree()]

    def target(self, file: MediaFile) -> Target:
        """Where a file is on this server."""
        return Target(port=self.port, path=f"/{file.reference}", file_bytes=file.size)
