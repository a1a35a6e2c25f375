"""How many requests the gateway lets through, of whom, and how large they may be."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.gateway.support import ID, Scene
from tests.stacks.gateway import Gateway


@pytest.fixture(scope="module")
def strict(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that takes little: as much at once as in a minute, and then nothing for seconds."""
    few = {"MARQUEE_RATE_LIMIT_PER_MIN": "5", "MARQUEE_USER_RATE_LIMIT_PER_MIN": "10"}
    trusting = {"MARQUEE_TRUSTED_PROXIES": "192.0.2.0/24, 127.0.0.1,fd00::/8"}
    gateway = Gateway(tmp_path_factory.mktemp("strict"), scene.addresses, few | trusting)
    gateway.start()
    yield gateway
    gateway.stop()


def ask(gateway: Gateway, path: str, address: str, times: int = 1, **headers: str) -> list[httpx.Response]:
    """Requests as a trusted proxy passes them on."""
    with httpx.Client(base_url=gateway.base_url, headers={"X-Forwarded-For": address, **headers}) as client:
        return [client.get(path) for _ in range(times)]


def test_limited_address_gets_retry_after(strict: Gateway) -> None:
    answers = ask(strict, "/api/videos", "203.0.113.1", times=7)
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    refusal = answers[-1]
    assert refusal.json()["error"]["code"] == "RATE_LIMITED"
    assert refusal.headers["retry-after"] == "12"
    assert refusal.headers["ratelimit"] == '"address";r=0;t=12'
    assert refusal.headers["ratelimit-policy"] == '"address";q=5;w=60'
    assert ask(strict, "/api/videos", "203.0.113.2")[0].status_code == 200, "others are not affected"


def test_media_and_health_are_not_counted(strict: Gateway) -> None:
    for path in (f"/api/videos/{ID}/stream", f"/api/videos/{ID}/stream/info", "/api/health", "/"):
        assert {answer.status_code for answer in ask(strict, path, "203.0.113.3", times=8)} == {200}


def test_frequent_requests_have_a_separate_limit(strict: Gateway) -> None:
    path = f"/api/videos/{ID}/thumbnail"
    answers = ask(strict, path, "203.0.113.5", times=11)
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[-1].headers["ratelimit-policy"] == '"user";q=10;w=60'
    assert ask(strict, "/api/videos", "203.0.113.5")[0].status_code == 200


@pytest.mark.parametrize(
    "credentials",
    [
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic eDp5"},
        {"Cookie": "marquee_access=x"},
        {"Cookie": "theme=dark; marquee_access_1f2e3d4c=x"},
    ],
)
@pytest.mark.parametrize(("path", "limited"), [("/api/videos", "address"), (f"/api/videos/{ID}/thumbnail", "user")])
def test_services_count_verified_credentials(
    strict: Gateway, credentials: dict[str, str], path: str, limited: str
) -> None:
    answers = ask(strict, path, "203.0.113.4", times=12, **credentials, **{"X-Marquee-Limit": "forged"})
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["headers"]["X-Marquee-Limit"] for answer in answers} == {limited}
    assert "ratelimit-policy" not in answers[0].headers, "the service tells"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/videos", {"X-Marquee-Limit": "forged"}),
        ("/api/videos", {"Cookie": "not_marquee_access=x"}),
        (f"/api/videos/{ID}/stream", {"X-Marquee-Limit": "forged", "Authorization": "Bearer x"}),
    ],
)
def test_client_can_not_choose_what_it_is_counted_as(scene: Scene, path: str, headers: dict[str, str]) -> None:
    assert "X-Marquee-Limit" not in scene.http.get(path, headers=headers).json()["headers"]


def test_invalid_credentials_of_one_address_share_a_limit(strict: Gateway) -> None:
    with httpx.Client(base_url=strict.base_url, headers={"X-Forwarded-For": "203.0.113.6"}) as client:
        taken = 0
        while client.get("/api/videos", headers={"Authorization": f"Bearer junk-{taken}"}).status_code == 200:
            taken += 1
            assert taken < 5_000, "there is no bound"
    assert taken >= 150, "ten times what a user has"
    assert ask(strict, "/api/videos", "203.0.113.7", Authorization="Bearer junk")[0].status_code == 200


def test_an_ipv6_network_is_one_address(strict: Gateway) -> None:
    # Eight addresses of one /64, with bytes that a careless pattern would stop at.
    hosts = ["::1", "::a", "a0a:a0a:a0a:a0a", "0:ff::", "ffff:ffff:ffff:ffff", "1:2:3:4", "::d", "::"]
    addresses = [f"2001:db8:a:a00{':' if not host.startswith(':') else ''}{host}" for host in hosts]
    statuses = [ask(strict, "/api/videos", address)[0].status_code for address in addresses]
    assert statuses == [200] * 5 + [429] * 3
    assert ask(strict, "/api/videos", "2001:db8:a:a01::1")[0].status_code == 200, "the next network"
    mapped = [ask(strict, "/api/videos", f"::ffff:203.0.113.{20 + number}")[0].status_code for number in range(7)]
    assert mapped == [200] * 7, "they are IPv4 addresses"


def test_forged_address_does_not_evade_limits(scene: Scene, tmp_path: Path) -> None:
    few = {"MARQUEE_RATE_LIMIT_PER_MIN": "5"}
    gateway = Gateway(tmp_path / "wary", scene.addresses, few)
    gateway.start()
    try:
        statuses = [ask(gateway, "/api/videos", f"203.0.113.{place}")[0].status_code for place in range(7)]
        assert statuses == [200] * 5 + [429] * 2
    finally:
        gateway.stop()


def test_uploads_are_not_buffered(scene: Scene) -> None:
    size = 64 << 20
    connection = http.client.HTTPConnection("127.0.0.1", scene.gateway.port, timeout=30)
    connection.putrequest("POST", "/api/videos")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    block = b"\x00" * (1 << 20)
    connection.send(block)
    assert scene.handlers["catalog"].first_bytes.wait(10), "the gateway holds the upload back"
    for _ in range(size // len(block) - 1):
        connection.send(block)
    assert connection.getresponse().status == 201
    connection.close()


def test_bodies_of_other_requests_are_limited(scene: Scene) -> None:
    answer = scene.http.post("/api/auth/login", content=b"x" * (2 << 20))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "REQUEST_TOO_LARGE")
