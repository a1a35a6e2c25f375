"""Over TLS the certificate is checked for the name, although the connection goes to an address that was judged."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kit.origins import Guard, OriginBlockedError, OriginClient, OriginInterruptedError, RemoteFile
from kit.origins.guard import Address
from kit.origins.references import parse_url
from kit.testing.origin import Origin


def certificate_for(name: str, path: Path) -> None:
    """Writes a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)


@pytest.fixture
async def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Origin]:
    """An origin that is `films.example`, whose authority the operator trusts."""
    certificate_for("films.example", tmp_path / "films.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "films.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "films.pem")
    async with Origin({"/a": b"film"}, tls=context) as origin:
        yield origin


async def resolve(_host: str, _port: int) -> list[Address]:
    return [ip_address("127.0.0.1")]


async def opened(url: str) -> RemoteFile:
    client = OriginClient(Guard("127.0.0.1", "*"), 2, resolve)
    try:
        return await RemoteFile.open(partial(client.get, parse_url(url)))
    finally:
        await client.close()


async def test_accepts_a_certificate_for_the_name(secure: Origin) -> None:
    assert (await opened(f"https://films.example:{secure.port}/a")).info.size == 4


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
async def test_refuses_a_certificate_for_another_name(secure: Origin, host: str) -> None:
    with pytest.raises(OriginInterruptedError):
        await opened(f"https://{host}:{secure.port}/a")
    assert secure.asked == []


async def test_a_redirect_from_https_to_http_is_refused(secure: Origin) -> None:
    secure.redirects["/b"] = f"http://films.example:{secure.port}/a"
    with pytest.raises(OriginBlockedError):
        await opened(f"https://films.example:{secure.port}/b")
    assert len(secure.asked) == 1
