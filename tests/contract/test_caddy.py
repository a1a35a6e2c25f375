"""HTTPS as `MARQUEE_DOMAIN=… make up` has it: Caddy with the overlay's configuration, the gateway, Marquee."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, UNLIMITED
from tests.stacks.caddy import DOMAIN, Caddy
from tests.stacks.embedded import EmbeddedStack
from tests.stacks.gateway import Gateway

VIEWER = "127.0.0.7"
HSTS_SEC = 31536000


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("caddy")
    settings = {"MARQUEE_TRUSTED_PROXIES": "127.0.0.1", "MARQUEE_BCRYPT_COST": "4"}
    with EmbeddedStack(folder, settings) as stack:
        port = urlsplit(stack.base_url).port
        everywhere = dict.fromkeys(("auth", "catalog", "stream", "progress"), f"127.0.0.1:{port}")
        of_overlay = {"MARQUEE_TRUSTED_PROXIES": "127.0.0.1/32", "MARQUEE_HSTS_SEC": str(HSTS_SEC)}
        gateway = Gateway(folder / "gateway", everywhere, {**UNLIMITED, **of_overlay})
        gateway.start()
        try:
            yield gateway
        finally:
            gateway.stop()


@pytest.fixture(scope="module", params=["internal", "own"])
def caddy(
    request: pytest.FixtureRequest, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Caddy]:
    caddy = Caddy(tmp_path_factory.mktemp(request.param), gateway.port, request.param)
    try:
        caddy.start()
        yield caddy
    finally:
        caddy.stop()


def test_viewer_logs_in_over_https(caddy: Caddy) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    with caddy.client(VIEWER) as client:
        answer = client.post(
            "/api/auth/login", json={"login_id": ADMIN_LOGIN, "password": ADMIN_PASSWORD}, headers=forged
        )
        assert answer.status_code == 200, answer.text
        cookies = answer.headers.get_list("Set-Cookie")
        assert cookies
        assert all("; secure" in cookie.lower() for cookie in cookies)
        assert answer.headers["Strict-Transport-Security"].startswith(f"max-age={HSTS_SEC}")
        query = {"action": "login.succeeded", "page_size": "1"}
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        logins = client.get("/api/admin/audit", params=query, headers=headers)
        assert logins.json()["items"][0]["client_address"] == VIEWER
        assert "<html" in client.get("/").text


def test_plain_requests_are_redirected(caddy: Caddy) -> None:
    answer = httpx.get(f"http://127.0.0.1:{caddy.plain_port}/watch/1?t=2", headers={"Host": DOMAIN})
    assert answer.status_code == 308
    target = urlsplit(answer.headers["Location"])
    assert (target.scheme, target.hostname, target.path, target.query) == ("https", DOMAIN, "/watch/1", "t=2")


def test_browsers_get_http_2_and_a_modern_protocol(caddy: Caddy) -> None:
    with caddy.handshake(("h2", "http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        assert connection.version() == "TLSv1.3"


def test_client_without_the_authority_is_warned(caddy: Caddy, tmp_path: Path) -> None:
    other = Caddy(tmp_path, caddy.port, "own")
    other.port = caddy.port
    with pytest.raises(ssl.SSLCertVerificationError):
        other.handshake()
