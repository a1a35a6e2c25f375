"""The real gateway, nginx with this repository's configuration, in front of services on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx

from kit.testing.servers import free_port
from tests.stacks.base import REPOSITORY, UNLIMITED, Process, wait_for

GATEWAY = REPOSITORY / "gateway"


class Gateway:
    """One nginx.

    Args:
        folder: for its files.
        upstreams: `host:port` of auth, catalog, stream and progress.
        settings: environment variables besides.
    """

    def __init__(self, folder: Path, upstreams: dict[str, str], settings: Mapping[str, str] = UNLIMITED) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        environment = {
            "GATEWAY_RUN_DIR": str(folder),
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "GATEWAY_SITE": str(REPOSITORY / "web" / "dist"),
            "GATEWAY_HEADERS": str(GATEWAY / "headers.conf"),
            "GATEWAY_ALIASES": str(GATEWAY / "aliases.conf"),
            "GATEWAY_TEMPLATE": str(GATEWAY / "nginx.conf.template"),
            # Addresses need no look-up: no resolver is asked.
            "GATEWAY_RESOLVER": "127.0.0.1",
            "GATEWAY_ACCESS_LOG": str(folder / "access.log"),
            **settings,
            **{f"UPSTREAM_{name.upper()}": address for name, address in upstreams.items()},
        }
        self.process = Process("gateway", [str(GATEWAY / "start")], environment, folder / "gateway.log")
        self.access_log = folder / "access.log"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.process.start()

        def answers() -> bool:
            assert self.process.is_running(), self.process.output()
            try:
                return httpx.get(f"{self.base_url}/healthz").status_code == httpx.codes.OK
            except httpx.HTTPError:
                return False

        wait_for(answers, 60, "the gateway")

    def stop(self) -> None:
        """Stops it."""
        self.process.stop()
