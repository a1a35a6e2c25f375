"""Marquee behind its own gateway: the way that every viewer of a containers' installation takes."""

from __future__ import annotations

from pathlib import Path

from kit.testing.servers import free_port
from loadtest.bench.peers import Place
from loadtest.bench.peers.marquee import MarqueePeer
from loadtest.bench.peers.nginx import program
from loadtest.bench.processes import Process, wait_for

_GATEWAY = Path(__file__).resolve().parents[3] / "gateway"
_MOST_REQUESTS = "999999"
"""Requests a minute that the gateway lets through: all."""


class GatewayPeer(MarqueePeer):
    """The gateway's configuration, and the stream service behind it, on the same core."""

    name = "gateway"
    title = "Marquee through its gateway"
    description = (
        "the gateway's own nginx configuration in front of `python -m services.stream serve`; both share the measured"
        " core, and both are counted"
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._run_folder = place.folder / self.name / "nginx"
        self._run_folder.mkdir()

    def start(self) -> None:
        """Start the stream service, what it needs, and the gateway."""
        super().start()
        stream_port, self.port = self.port, free_port()
        environment = {
            "PATH": f"{program().parent}:/usr/bin:/bin",
            "GATEWAY_RUN_DIR": str(self._run_folder),
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "GATEWAY_SITE": str(self._run_folder),
            "GATEWAY_HEADERS": str(_GATEWAY / "headers.conf"),
            "GATEWAY_ALIASES": str(_GATEWAY / "aliases.conf"),
            "GATEWAY_TEMPLATE": str(_GATEWAY / "nginx.conf.template"),
            "GATEWAY_RESOLVER": "127.0.0.1",
            "GATEWAY_ACCESS_LOG": str(self._run_folder / "access.log"),
            "MARQUEE_RATE_LIMIT_PER_MIN": _MOST_REQUESTS,
            "MARQUEE_USER_RATE_LIMIT_PER_MIN": _MOST_REQUESTS,
            # There is one replica, and no other that could help.
            "MARQUEE_MAX_STREAMS": _MOST_REQUESTS,
            "UPSTREAM_STREAM": f"127.0.0.1:{stream_port}",
        }
        gateway = Process(self.name, ["sh", str(_GATEWAY / "start")], self.place.server_cores, environment)
        self.processes.append(gateway.start())
        wait_for(gateway, "/healthz", self.port)
