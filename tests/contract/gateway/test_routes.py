"""Which service a path reaches, and what of a request arrives there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from apps.marquee.aliases import ALIASES, Alias
from apps.marquee.gateway import content_security_policy
from apps.marquee.openapi import document_parts
from apps.marquee.routes import limit_for, service_for
from tests.contract.gateway.support import ID, UPSTREAMS, Scene
from tests.stacks.base import REPOSITORY
from tests.stacks.gateway import Gateway

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
    "/api/admin/offline-licenses",
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
