"""Where the extension is offered, and everything else works without it."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zerocopy import EXTENSION
from zerocopy.tests.support import Client, Media, Running, body, request, serving, start


async def offers(scope: Any, _receive: Any, send: Any) -> None:
    """Answer whether the extension is offered, with a body of the length in the path."""
    offered = EXTENSION in scope.get("extensions", {})
    await send(start(("x-offered", str(offered))))
    await send(body(b"x" * int(scope["path"][1:])))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_extension_is_not_offered_under_tls(certificate: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        serving(offers, ssl_certfile=str(certificate)) as server,
        server.connect() as plain,
        Client(context.wrap_socket(plain.sock)) as client,
    ):
        for length in (10, 1_000_000):
            client.write(request(f"/{length}"))
            answer = client.read_answer()
            assert answer.headers["x-offered"] == "False"
            assert len(answer.body) == length


def test_extension_is_not_offered_without_sendfile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sendfile")
    with serving(offers) as server, server.connect() as client:
        client.write(request("/10"))
        assert client.read_answer().headers["x-offered"] == "False"


def test_over_unix_sockets(tmp_path: Path, media: Media) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    with serving(media.app, listener=listener) as server, server.connect() as client:
        for _ in range(2):
            client.write(request("/5/3000000"))
            assert client.read_answer().body == media.content[5:3_000_005]


def test_another_protocol_may_take_over(server: Running, media: Media) -> None:
    class Parrot(asyncio.Protocol):
        """The protocol of an upgraded connection."""

        def __init__(self, **_: Any) -> None:
            self.transport: Any = None

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(b"parrot: " + data)

    server.app = media.app
    config = server.server.config
    with server.connect() as client:
        client.write(request("/0/300000"))
        assert client.read_answer().body == media.content[:300_000]
        (connection,) = server.connections()
        connection.ws_protocol_class = Parrot
        assert config.ws_protocol_class is not Parrot
        client.write(request("/0/1", "Connection: Upgrade", "Upgrade: websocket"))
        assert client.read_until(b"\r\n\r\n").startswith(b"parrot: GET /0/1 HTTP/1.1\r\n")
        client.write(b"hello")
        assert client.read(13) == b"parrot: hello"
