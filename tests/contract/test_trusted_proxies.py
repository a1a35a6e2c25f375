"""A real TLS proxy in front of embedded mode, and in front of the gateway: who is believed about a client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from tests.stacks.base import ADMIN_LOGIN, ADMIN_PASSWORD, UNLIMITED
from tests.stacks.embedded import EmbeddedStack
from tests.stacks.gateway import Gateway
from tests.stacks.tls import PROXY_ADDRESS, TlsProxy

TRUSTED = f"10.0.0.0/8,{PROXY_ADDRESS}/32,fd00::/8"
"""Several networks, and no other address of the loopback."""
VIEWER, STRANGER = "127.0.0.7", "127.0.0.9"
FORGED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


class Behind(NamedTuple):
    """What a proxy is in front of."""

    proxy: TlsProxy
    port: int
    """Where those come in who go around the proxy."""


@pytest.fixture(scope="module", params=["embedded", "gateway"])
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp(request.param)
    # The gateway is a peer, too; its headers are trusted like the proxy's where there is no gateway.
    peers = "127.0.0.1" if request.param == "gateway" else TRUSTED
    settings = {
        "MARQUEE_TRUSTED_PROXIES": peers,
        "MARQUEE_BCRYPT_COST": "4",
        "MARQUEE_LOGIN_ATTEMPTS_PER_ADDRESS": "5",
    }
    with EmbeddedStack(folder, settings) as stack:
        port = urlsplit(stack.base_url).port
        assert port is not None
        gateway = None
        if request.param == "gateway":
            everywhere = dict.fromkeys(("auth", "catalog", "stream", "progress"), f"127.0.0.1:{port}")
            gateway = Gateway(folder / "gateway", everywhere, {**UNLIMITED, "MARQUEE_TRUSTED_PROXIES": TRUSTED})
            gateway.start()
            port = gateway.port
        proxy = TlsProxy(folder / "tls", port)
        try:
            proxy.start()
            yield Behind(proxy, port)
        finally:
            proxy.stop()
            if gateway:
                gateway.stop()


def around(behind: Behind, local_address: str) -> httpx.Client:
    """Return a client that goes around the proxy."""
    transport = httpx.HTTPTransport(local_address=local_address)
    return httpx.Client(base_url=f"http://127.0.0.1:{behind.port}", transport=transport, timeout=30)


def log_in(
    client: httpx.Client, password: str = ADMIN_PASSWORD, login: str = ADMIN_LOGIN, **headers: str
) -> httpx.Response:
    return client.post("/api/auth/login", json={"login_id": login, "password": password}, headers=headers)


def last_address(client: httpx.Client, token: str) -> str:
    """Return from where the last login came, as auth wrote it down."""
    query = {"action": "login.succeeded", "page_size": "1"}
    answer = client.get("/api/admin/audit", params=query, headers={"Authorization": f"Bearer {token}"})
    return str(answer.json()["items"][0]["client_address"])


def is_secure(answer: httpx.Response) -> bool:
    cookies = answer.headers.get_list("Set-Cookie")
    assert len(cookies) == 3
    (secure,) = {"; secure" in cookie.lower() for cookie in cookies}
    return secure


def test_cookies_are_secure_and_address_is_the_clients_behind_proxy(behind: Behind) -> None:
    with behind.proxy.client(VIEWER) as client:
        answer = log_in(client)
        assert answer.status_code == 200
        assert is_secure(answer)
        assert last_address(client, answer.json()["access_token"]) == VIEWER
        assert client.get("/api/users/me").json()["login_id"] == ADMIN_LOGIN, "by cookie"


def test_forged_headers_behind_proxy_have_no_effect(behind: Behind) -> None:
    with behind.proxy.client(VIEWER) as client:
        answer = log_in(client, **FORGED)
        assert last_address(client, answer.json()["access_token"]) == VIEWER


def test_headers_of_untrusted_peer_are_ignored(behind: Behind) -> None:
    with around(behind, STRANGER) as client:
        answer = log_in(client, **FORGED)
        assert answer.status_code == 200
        assert not is_secure(answer)
        assert last_address(client, answer.json()["access_token"]) == STRANGER


def test_failures_of_one_client_do_not_limit_another(behind: Behind) -> None:
    with behind.proxy.client(STRANGER) as stranger:
        statuses = [log_in(stranger, "wrong", f"unknown-{number}").status_code for number in range(6)]
        assert statuses == [401] * 5 + [429]
        assert log_in(stranger, **{"X-Forwarded-For": "198.51.100.7"}).status_code == 429, (
            "the address is no way around"
        )
    with behind.proxy.client(VIEWER) as viewer:
        assert log_in(viewer).status_code == 200
