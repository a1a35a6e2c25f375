"""A throw-away server of S3."""

import os
import socket
import sys
from pathlib import Path

from kit.testing.servers.ports import LOOPBACK
from kit.testing.servers.process import Server
from kit.testing.servers.programs import find_program


class S3Server(Server):
    """What speaks S3: rclone over a folder, whose folders are the buckets. It checks signatures."""

    name = "s3"
    access_key_id = "marquee"
    secret_access_key = "not-a-secret"  # noqa: S105 - of a throw-away server
    _dir_cache_time = "0s"

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
            # Files may change under it: nothing of them is remembered.
            *("--dir-cache-time", self._dir_cache_time, "--vfs-cache-mode", "off"),
            str(self.buckets),
        ]

    def _answers(self) -> bool:
        with socket.socket() as trial:
            trial.settimeout(5)
            return trial.connect_ex((LOOPBACK, self.port)) == 0


class WrittenS3Server(S3Server):
    """A server of S3 whose buckets change by requests only, which it remembers.

    Without a memory rclone renews each folder that it ever served all the time, and slows down with their number.
    """

    name = "s3-written"
    _dir_cache_time = "5m"
