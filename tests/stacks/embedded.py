"""Marquee as `make run` starts it: one process."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.stacks.base import ADMIN_PASSWORD, LONG_LOGIN, UNLIMITED, Process, Stack, wait_for


class EmbeddedStack(Stack):
    """One process on a folder of its own.

    Args:
        folder: for its data and its log.
        settings: environment variables besides.
    """

    name = "embedded"

    def __init__(self, folder: Path, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.data = folder / "var"
        self.process = Process(
            "marquee",
            [sys.executable, "-m", "apps.marquee", "serve"],
            {
                "MARQUEE_DATA_DIR": str(self.data),
                "MARQUEE_HTTP_PORT": "0",
                "MARQUEE_ADMIN_PASSWORD": ADMIN_PASSWORD,
                "MARQUEE_LOG_FORMAT": "json",
                "MARQUEE_LOG_LEVEL": "info",
                **UNLIMITED,
                **LONG_LOGIN,
                # Tests come as many clients of one administrator.
                "MARQUEE_MAX_STREAMS_PER_USER": "100",
                **settings,
            },
            folder / "marquee.log",
        )

    @property
    def media(self) -> Path:
        """Where its media files are."""
        return self.data / "media"

    def start(self) -> None:
        """Starts it on a free port and reads from its greeting which."""
        greeted = self.process.output().count("Marquee is ready")
        self.process.start()

        def greets() -> bool:
            assert self.process.is_running(), self.process.output()
            return self.process.output().count("Marquee is ready") > greeted

        wait_for(greets, 120, "the greeting")
        self.base_url = re.findall(r"Marquee is ready: (http://\S+)", self.process.output())[-1]
        self.wait_healthy()

    def stop(self) -> None:
        """Stops it."""
        self.process.stop()
