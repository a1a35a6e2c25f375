"""A TLS proxy as an operator puts one in front: another nginx, with a certificate of a private authority."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kit.testing.servers import free_port
from tests.stacks.base import Process, wait_for

PROXY_ADDRESS = "127.0.0.2"
"""Where its connections come from: a peer that can be trusted while others on the loopback are not."""
_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/server.pem;
        ssl_certificate_key {folder}/server.key;
        client_max_body_size 0;
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_bind {proxy_address};
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_buffer_size 256k;
            proxy_buffers 8 256k;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"""


class TlsProxy:
    """One nginx that ends TLS.

    Args:
        folder: for its files.
        upstream_port: where requests go, on the loopback.
    """

    def __init__(self, folder: Path, upstream_port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.base_url = f"https://127.0.0.1:{self.port}"
        self.authority = folder / "authority.pem"
        certify(folder, self.authority)
        configuration = folder / "tls.conf"
        configuration.write_text(
            _CONFIGURATION.format(folder=folder, port=self.port, upstream=upstream_port, proxy_address=PROXY_ADDRESS)
        )
        self.process = Process("tls", ["nginx", "-c", str(configuration)], {}, folder / "tls.log")

    def client(self, local_address: str) -> httpx.Client:
        """Return a client that trusts the authority and connects from one address of the loopback."""
        context = ssl.create_default_context(cafile=str(self.authority))
        transport = httpx.HTTPTransport(verify=context, local_address=local_address)
        return httpx.Client(base_url=self.base_url, transport=transport, timeout=30)

    def start(self) -> None:
        """Start it and wait until it speaks TLS."""
        self.process.start()

        def answers() -> bool:
            assert self.process.is_running(), self.process.output()
            try:
                with self.client("127.0.0.1") as client:
                    client.get("/healthz")
            except httpx.HTTPError:
                return False
            return True

        wait_for(answers, 30, "the TLS proxy")

    def stop(self) -> None:
        """Stop it."""
        self.process.stop()


def certify(folder: Path, authority: Path, domain: str = "localhost") -> None:
    """Write a private authority, and a certificate of it for a domain and the loopback: `server.pem`, `server.key`."""
    now = dt.datetime.now(dt.UTC)
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Private authority")])

    def certificate(name: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    root = certificate(issuer, authority_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(domain)])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "marquee")])
    leaf = certificate(subject, server_key.public_key()).add_extension(names, critical=False)
    pem = serialization.Encoding.PEM
    authority.write_bytes(root.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    (folder / "server.pem").write_bytes(leaf.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    (folder / "server.key").write_bytes(
        server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
