"""The real nginx in front of four small servers that tell what reached them."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.marquee.aliases import ALIASES, Alias
from apps.marquee.gateway import content_security_policy
from apps.marquee.openapi import document_parts
from apps.marquee.routes import limit_for, service_for
from tests.stacks.base import REPOSITORY
from tests.stacks.gateway import Gateway

UPSTREAMS = ("auth", "catalog", "stream", "progress")
ID = "0190a6f5-0000-7000-8000-000000000000"
ARTWORK_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie", "ETag": '"one"'}


class Upstream(BaseHTTPRequestHandler):
    """Answers with what it was asked; `/slow` and uploads show whether anything is held back."""

    protocol_version = "HTTP/1.1"
    service: str
    first_bytes: threading.Event
    go_on: threading.Event

    def do_GET(self) -> None:
        if "slow" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "20")
            self.end_headers()
            self.wfile.write(b"first half")
            self.wfile.flush()
            self.go_on.wait(20)
            self.wfile.write(b"and second")
            return
        if self.path.endswith("/thumbnail") and "If-None-Match" in self.headers:
            self.send_response(304)
            self.send_artwork_headers()
            self.end_headers()
            return
        if "refuse" in self.path:
            self.answer(503, {"error": {"code": "STREAM_FILE_UNAVAILABLE"}})
            return
        self.answer(200, {"service": self.service, "path": self.path, "headers": dict(self.headers)})

    def do_POST(self) -> None:
        left = int(self.headers.get("Content-Length", 0))
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
            self.first_bytes.set()
        self.answer(201, {"service": self.service})

    def answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-From-Service", self.service)
        if self.path.endswith("/thumbnail"):
            self.send_artwork_headers()
        self.end_headers()
        self.wfile.write(content)

    def send_artwork_headers(self) -> None:
        for name, value in ARTWORK_HEADERS.items():
            self.send_header(name, value)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


class Scene:
    def __init__(self, gateway: Gateway, handlers: dict[str, type[Upstream]], addresses: dict[str, str]) -> None:
        self.gateway = gateway
        self.handlers = handlers
        self.addresses = addresses
        self.http = httpx.Client(base_url=gateway.base_url, timeout=20)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    servers, handlers, addresses = [], {}, {}
    for name in UPSTREAMS:
        made = {"service": name, "first_bytes": threading.Event(), "go_on": threading.Event()}
        handlers[name] = type(f"{name}Upstream", (Upstream,), made)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handlers[name])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        addresses[name] = f"127.0.0.1:{server.server_address[1]}"
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), addresses)
    gateway.start()
    try:
        made_scene = Scene(gateway, handlers, addresses)
        yield made_scene
        made_scene.http.close()
    finally:
        gateway.stop()
        for server in servers:
            server.shutdown()
            server.server_close()


PATHS = [
    "/api/auth/login",
    "/api/users",
    "/api/users/me",
    f"/api/users/{ID}/approve",
    "/api/users/me/history",
    "/api/users/me/points",
    "/api/users/me/bookmarks/1",
    "/api/users/me/historyx",
    "/api/corporations",
    "/api/admin/audit",
    "/api/admin/views",
    "/api/admin/streams/metrics",
    "/.well-known/jwks.json",
    "/api/videos",
    "/api/videos/process",
    f"/api/videos/{ID}",
    f"/api/videos/{ID}/thumbnail",
    f"/api/videos/{ID}/stream",
    f"/api/videos/{ID}/stream/info",
    f"/api/videos/{ID}/streams",
    f"/api/videos/{ID}/lsv",
    f"/api/videos/{ID}/progress",
    f"/api/progress/{ID}",
    "/api/play-sessions",
    "/api/offline-licenses/1",
    "/api/uploads/1",
    "/api/health",
    "/api/healthy",
    "/api/unheard-of",
    f"/api/play-sessions/{ID}",
    f"/api/play-sessions/{ID}/heartbeat",
    f"/api/videos/{ID}/storyboard/3.jpg",
    f"/api/videos/{ID}/storyboard.vtt",
]


@pytest.mark.parametrize("path", PATHS)
def test_both_gateways_route_a_path_alike(scene: Scene, path: str) -> None:
    answer = scene.http.get(path)
    assert answer.json()["service"] == service_for(path)
    assert answer.json()["path"] == path


@pytest.mark.parametrize("path", PATHS)
def test_both_gateways_count_a_path_alike(scene: Scene, path: str) -> None:
    policy = scene.http.get(path).headers.get("RateLimit-Policy")
    assert (policy and policy.split(";")[0].strip('"')) == limit_for(path)


def test_every_documented_path_is_counted_alike(scene: Scene) -> None:
    counted = set()
    for part in document_parts().values():
        for template in part.get("paths", {}):
            path = re.sub(r"\{\w+\}", ID, template)
            policy = scene.http.get(path).headers.get("RateLimit-Policy")
            assert (policy and policy.split(";")[0].strip('"')) == limit_for(path), path
            counted.add(limit_for(path))
    assert counted == {None, "address", "user"}


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.path)
def test_alias_is_routed_and_counted_as_its_target(scene: Scene, alias: Alias) -> None:
    path, target = (template.format(id=ID, rest="health") for template in alias[:2])
    answer = scene.http.get(f"{path}?start=1%2B2&ticket=secret-ticket")
    assert answer.json()["path"] == f"{target}?start=1%2B2&ticket=secret-ticket"
    assert answer.json()["service"] == service_for(target)
    policy = answer.headers.get("RateLimit-Policy")
    assert (policy and policy.split(";")[0].strip('"')) == limit_for(target)
    posted = scene.http.post(path, content=b"body")
    assert (posted.status_code, posted.json()["service"]) == (201, service_for(target))
    assert "secret-ticket" not in scene.gateway.access_log.read_text()


def test_escaped_path_of_alias_stays_escaped(scene: Scene) -> None:
    path = "/videos/%ED%95%9C%20/stream"
    assert scene.http.get(f"/v1{path}").json()["path"] == f"/api{path}"


def test_upload_by_alias_may_be_large(scene: Scene) -> None:
    answer = scene.http.post("/api/contents", content=b"x" * (2 << 20))
    assert (answer.status_code, answer.json()["service"]) == (201, "catalog")


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


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://media.example.org", "https://media.example.org"),
        ("http://127.0.0.1:8443/prefix", "http://127.0.0.1:8443"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_content_security_policy_allows_film_origin(scene: Scene, tmp_path: Path, url: str, origin: str) -> None:
    gateway = Gateway(tmp_path / "public", scene.addresses, {"MARQUEE_STREAM_PUBLIC_URL": url})
    gateway.start()
    try:
        policy = httpx.get(gateway.base_url).headers["content-security-policy"]
    finally:
        gateway.stop()
    assert policy == content_security_policy(origin)
    assert f"media-src 'self' blob: {origin};" in policy
    assert f"connect-src 'self' {origin};" in policy


@pytest.mark.parametrize("validator", [None, '"one"'])
def test_cache_control_of_artwork_reaches_client(scene: Scene, validator: str | None) -> None:
    headers = {"If-None-Match": validator} if validator else {}
    answer = scene.http.get(f"/api/videos/{ID}/thumbnail", headers=headers)
    assert answer.status_code == (304 if validator else 200)
    for name, value in ARTWORK_HEADERS.items():
        assert answer.headers.get_list(name) == [value]


@pytest.mark.parametrize("policy", [content_security_policy(), content_security_policy("https://media.example.org")])
def test_pages_have_restrictive_security_policy(policy: str) -> None:
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert directives["base-uri"] == directives["object-src"] == directives["frame-ancestors"] == ["'none'"]
    assert directives["form-action"] == directives["default-src"] == directives["script-src"] == ["'self'"]


def test_hsts_is_sent_by_setting_and_over_https_only(scene: Scene, tmp_path: Path) -> None:
    settings = {"MARQUEE_HSTS_SEC": "31536000", "MARQUEE_COOP": "same-origin", "GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
    gateway = Gateway(tmp_path / "secure", {**scene.addresses, "progress": "127.0.0.1:1"}, settings)
    gateway.start()
    try:
        for path in ("/", "/assets/nothing.js", "/api/videos", "/api/progress/1"):
            secure = httpx.get(gateway.base_url + path, headers={"X-Forwarded-Proto": "https"})
            assert secure.headers.get_list("strict-transport-security") == ["max-age=31536000"], path
            plain = httpx.get(gateway.base_url + path)
            assert "strict-transport-security" not in plain.headers
        assert httpx.get(gateway.base_url).headers["cross-origin-opener-policy"] == "same-origin"
    finally:
        gateway.stop()
    unset = scene.http.get("/", headers={"X-Forwarded-Proto": "https"})
    assert not {"strict-transport-security", "cross-origin-opener-policy"} & set(unset.headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MARQUEE_HSTS_SEC", "1y"),
        ("MARQUEE_HSTS_SEC", "-1"),
        ("MARQUEE_HSTS_SEC", "9" * 12),
        ("MARQUEE_COOP", "yes; x"),
    ],
)
def test_invalid_header_setting_stops_the_start(tmp_path: Path, name: str, value: str) -> None:
    gateway = Gateway(tmp_path / "wrong", dict.fromkeys(UPSTREAMS, "127.0.0.1:1"), {name: value})
    with pytest.raises(AssertionError, match=f"{name} can't be used"):
        gateway.start()


def test_invalid_film_origin_stops_the_start(tmp_path: Path) -> None:
    settings = {"MARQUEE_STREAM_PUBLIC_URL": "https://media.example.org; script-src *"}
    gateway = Gateway(tmp_path / "wrong", dict.fromkeys(UPSTREAMS, "127.0.0.1:1"), settings)
    with pytest.raises(AssertionError, match="MARQUEE_STREAM_PUBLIC_URL can't be used"):
        gateway.start()


@pytest.mark.parametrize("networks", ["proxy.lan", "*", "10.0.0.0/8;}", "10.0.0.0/33", "fd00::/8 $host"])
def test_invalid_trusted_proxies_stop_the_start(tmp_path: Path, networks: str) -> None:
    settings = {"MARQUEE_TRUSTED_PROXIES": networks}
    gateway = Gateway(tmp_path / "wrong", dict.fromkeys(UPSTREAMS, "127.0.0.1:1"), settings)
    with pytest.raises(AssertionError, match=r"MARQUEE_TRUSTED_PROXIES can't be used|invalid|host not found"):
        gateway.start()


def test_invalid_limit_stops_the_start(tmp_path: Path) -> None:
    gateway = Gateway(
        tmp_path / "wrong", dict.fromkeys(UPSTREAMS, "127.0.0.1:1"), {"MARQUEE_RATE_LIMIT_PER_MIN": "0x5"}
    )
    with pytest.raises(AssertionError, match="MARQUEE_RATE_LIMIT_PER_MIN can't be used"):
        gateway.start()


def test_every_documented_path_reaches_its_service(scene: Scene) -> None:
    walked = 0
    for service, part in document_parts().items():
        for template in part.get("paths", {}):
            path = re.sub(r"\{\w+\}", ID, template)
            assert service_for(path) == service, path
            assert scene.http.get(path).json()["service"] == service, path
            walked += 1
    assert walked >= 15


def test_path_with_encoded_dot_segments_reaches_no_service(scene: Scene) -> None:
    answer = scene.http.get("/api/videos/..%2F..%2Fetc/stream")
    assert "X-From-Service" not in answer.headers
    assert "<title>" in answer.text


def test_query_arrives_unchanged_and_is_not_logged(scene: Scene) -> None:
    plain = scene.http.get(f"/api/videos/{ID}/stream?start=1%2B2&ticket=secret-ticket")
    assert plain.json()["path"] == f"/api/videos/{ID}/stream?start=1%2B2&ticket=secret-ticket"
    assert "secret-ticket" not in scene.gateway.access_log.read_text()
    for line in scene.gateway.access_log.read_text().splitlines():
        assert json.loads(line)["service"] == "gateway"


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/metrics/"])
def test_internal_routes_are_not_reachable(scene: Scene, path: str) -> None:
    assert scene.http.get(path).status_code == 404


def test_client_can_not_forge_its_address(scene: Scene) -> None:
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Request-ID": "ab\tc"}
    headers = scene.http.get("/api/videos", headers=forged).json()["headers"]
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Request-ID"] != forged["X-Request-ID"]
    kept = scene.http.get("/api/videos", headers={"X-Request-ID": "my-request.1"}).json()["headers"]
    assert kept["X-Request-ID"] == "my-request.1"


def test_responses_are_not_buffered(scene: Scene) -> None:
    go_on = scene.handlers["stream"].go_on
    with scene.http.stream("GET", f"/api/videos/{ID}/stream/slow") as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"first half"
        go_on.set()
        assert b"".join(pieces) == b"and second"


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


def test_unreachable_service_is_a_503_in_json(scene: Scene, tmp_path: Path) -> None:
    lonely = Gateway(tmp_path / "lonely", dict.fromkeys(UPSTREAMS, "127.0.0.1:1"))
    lonely.start()
    try:
        answer = httpx.get(f"{lonely.base_url}/api/videos")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert answer.headers["retry-after"] == "2"
        for path in (f"/api/videos/{ID}/stream", "/api/play-sessions/1/end"):
            assert httpx.get(f"{lonely.base_url}{path}?ticket=secret-ticket").status_code == 503
        logs = lonely.process.output() + lonely.access_log.read_text()
        assert "/api/videos" in logs
        assert "secret-ticket" not in logs
    finally:
        lonely.stop()
    own = scene.http.get(f"/api/videos/{ID}/stream/refuse")
    assert own.json()["error"]["code"] == "STREAM_FILE_UNAVAILABLE", "a service's own error is not replaced"


def test_site_is_served(scene: Scene) -> None:
    for path in ("/", "/watch/some-video", "/login"):
        page = scene.http.get(path, headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert "<title>" in page.text
        assert page.headers["cache-control"] == "no-cache"
        assert page.headers["content-security-policy"] == content_security_policy()
        assert page.headers["x-content-type-options"] == "nosniff"
    assets = [part for part in scene.http.get("/").text.split('"') if part.startswith("/assets/")]
    asset = scene.http.get(assets[0], headers={"Accept-Encoding": "gzip"})
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["content-encoding"] == "gzip"
    assert asset.headers["vary"] == "Accept-Encoding"
    made_at_build_time = REPOSITORY / "web" / "dist" / f"{assets[0].lstrip('/')}.gz"
    assert asset.headers["content-length"] == str(made_at_build_time.stat().st_size)
    plain = scene.http.get(assets[0], headers={"Accept-Encoding": "identity"})
    assert plain.headers["vary"] == "Accept-Encoding"
    assert plain.headers["etag"] != asset.headers["etag"]
    assert scene.http.get("/assets/none.js").status_code == 404
    assert 'id="docs"' in scene.http.get("/docs/").text
