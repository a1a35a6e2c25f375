"""Headers of responses, and the settings that they come from."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from apps.marquee.gateway import content_security_policy
from tests.contract.gateway.support import ARTWORK_HEADERS, ID, UPSTREAMS, Scene
from tests.stacks.gateway import Gateway


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


@pytest.mark.parametrize(
    ("name", "value"),
    [("MARQUEE_RATE_LIMIT_PER_MIN", "0x5"), ("MARQUEE_MAX_STREAMS", "many"), ("GATEWAY_REPLICAS", "0")],
)
def test_invalid_number_stops_the_start(tmp_path: Path, name: str, value: str) -> None:
    gateway = Gateway(tmp_path / "wrong", dict.fromkeys(UPSTREAMS, "127.0.0.1:1"), {name: value})
    with pytest.raises(AssertionError, match=f"{name} can't be used"):
        gateway.start()
