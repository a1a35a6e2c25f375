"""Files of the site that were compressed when it was built: which of them a client gets."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.gateway.support import UPSTREAMS
from tests.stacks.gateway import Gateway

TYPES = {"js": "text/javascript", "css": "text/css"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    # Not in pytest's folder: as root's, nginx's processes run as another user, who may not enter that.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "assets").mkdir()
        (folder / "index.html").write_text("page")
        for ending in TYPES:
            (folder / "assets" / f"small.{ending}").write_text("small")
            for coding in ("", ".gz", ".br"):
                (folder / "assets" / f"big.{ending}{coding}").write_text(coding or "plain")
        nowhere = dict.fromkeys(UPSTREAMS, "127.0.0.1:1")
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), nowhere, {"GATEWAY_SITE": name})
        gateway.start()
        try:
            with httpx.Client(base_url=gateway.base_url, timeout=60) as client:
                yield client
        finally:
            gateway.stop()


def fetch(site: httpx.Client, path: str, accept: str | None, method: str = "GET") -> tuple[bytes, httpx.Headers]:
    """Return the bytes as they came, and the headers."""
    request = site.build_request(method, path)
    request.headers.pop("Accept-Encoding")
    if accept is not None:
        request.headers["Accept-Encoding"] = accept
    answer = site.send(request, stream=True)
    try:
        assert answer.status_code == 200
        return b"".join(answer.iter_raw()), answer.headers
    finally:
        answer.close()


@pytest.mark.parametrize("ending", TYPES)
@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("br", "br"),
        ("gzip,br", "br"),
        ("gzip", "gzip"),
        ("gzip, br;q=0", "gzip"),
        ("gzip, brotli", "gzip"),
        ("gzip, x-br", "gzip"),
        ("identity", None),
        (None, None),
    ],
)
def test_client_gets_the_coding_that_it_takes(
    site: httpx.Client, ending: str, accept: str | None, coding: str | None
) -> None:
    body, headers = fetch(site, f"/assets/big.{ending}", accept)
    assert body == {"br": b".br", "gzip": b".gz", None: b"plain"}[coding]
    assert headers.get("Content-Encoding") == coding
    assert headers.get_list("Vary") == ["Accept-Encoding"]
    assert headers.get_list("Content-Type") == [TYPES[ending]]
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("ending", TYPES)
def test_file_without_compressed_one_is_sent_as_it_is(site: httpx.Client, ending: str) -> None:
    body, headers = fetch(site, f"/assets/small.{ending}", "gzip, br")
    assert body == b"small"
    assert headers["Content-Type"] == TYPES[ending]
    assert "Content-Encoding" not in headers


def test_codings_have_different_entity_tags_and_are_confirmed(site: httpx.Client) -> None:
    tags = {accept: fetch(site, "/assets/big.js", accept)[1]["ETag"] for accept in ("br", "identity")}
    assert tags["br"] != tags["identity"]
    again = site.get("/assets/big.js", headers={"Accept-Encoding": "br", "If-None-Match": tags["br"]})
    assert again.status_code == 304
    assert fetch(site, "/assets/big.js", "br", method="HEAD")[1]["Content-Encoding"] == "br"


def test_missing_asset_is_no_page_and_takes_no_other_method(site: httpx.Client) -> None:
    assert site.get("/assets/none.js").status_code == 404
    refused = site.post("/assets/big.js")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
