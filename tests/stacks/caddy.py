"""Caddy with the TLS overlay's own Caddyfile, on ports of the loopback."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Literal

import httpx

from kit.testing.servers import free_port
from tests.stacks.base import REPOSITORY, Process, wait_for
from tests.stacks.tls import certify

DOMAIN = "films.example"
_CADDYFILE = REPOSITORY / "deploy" / "compose" / "caddy" / "Caddyfile"


class Caddy:
    """One Caddy.

    Args:
        folder: for its files.
        upstream_port: of the gateway, on the loopback.
        certificates: `own` ones of a private authority, or of Caddy's own, `internal`.
    """

    def __init__(self, folder: Path, upstream_port: int, certificates: Literal["own", "internal"]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.plain_port = free_port(), free_port()
        self.authority = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        if certificates == "own":
            self.authority = folder / "authority.pem"
            certify(folder, self.authority, DOMAIN)
        text = _CADDYFILE.read_text()
        # In a container: ports 80 and 443, the gateway's name, the folder of certificates.
        for old, new in (
            ("admin off", f"admin off\n\thttp_port {self.plain_port}\n\thttps_port {self.port}"),
            # Debian's Caddy 2.6 does not know it; the image's 2.10 does.
            ("\tpersist_config off\n", ""),
            ("gateway:8080", f"127.0.0.1:{upstream_port}"),
            ("/certificates/fullchain.pem", str(folder / "server.pem")),
            ("/certificates/privkey.pem", str(folder / "server.key")),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        configuration = folder / "Caddyfile"
        configuration.write_text(text)
        environment = {
            "MARQUEE_DOMAIN": DOMAIN,
            "MARQUEE_TLS": certificates,
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(configuration)]
        self.process = Process("caddy", command, environment, folder / "caddy.log")

    def start(self) -> None:
        """Start it and wait until it speaks TLS."""
        self.process.start()

        def answers() -> bool:
            assert self.process.is_running(), self.process.output()
            try:
                self.handshake().close()
            except OSError:
                return False
            return True

        wait_for(answers, 60, "Caddy")

    def stop(self) -> None:
        """Stop it."""
        self.process.stop()

    def handshake(self, protocols: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLSocket:
        """Return a connection as a client has it that trusts the authority and asks for the domain.

        Args:
            protocols: what the client offers to speak (ALPN, RFC 7301).

        Raises:
            OSError: nothing listens, or the certificate is not trusted.
        """
        context = ssl.create_default_context(cafile=str(self.authority))
        context.set_alpn_protocols(list(protocols))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 30), server_hostname=DOMAIN)

    def client(self, local_address: str) -> httpx.Client:
        """Return a client that trusts the authority and connects from one address of the loopback."""
        context = ssl.create_default_context(cafile=str(self.authority))
        transport = httpx.HTTPTransport(verify=context, local_address=local_address)
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Host": DOMAIN},
            transport=_NamedTransport(transport),
            timeout=30,
        )


class _NamedTransport(httpx.BaseTransport):
    """Asks for the domain in the handshake, wherever it connects to."""

    def __init__(self, transport: httpx.HTTPTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, "sni_hostname": DOMAIN}
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._transport.close()
