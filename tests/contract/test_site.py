"""The built web site as embedded mode serves it: its files in the codings that were made at build time."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args, get_type_hints

import httpx
import pytest

from apps.marquee.assets import choose_coding
from apps.marquee.gateway import Site
from services.catalog.schemas import HealthView
from services.catalog.service import HealthOverview
from services.stream.storage.port import Tier
from services.thumbnailer.domain import _REASONS as REASONS
from tests.stacks.base import REPOSITORY

SCRIPT = b"export const answer = 42;\n" * 100
FORMS = {"": SCRIPT, ".gz": gzip.compress(SCRIPT), ".br": b"not really brotli"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    assets = tmp_path / "assets"
    assets.mkdir()
    for suffix, content in FORMS.items():
        (assets / f"app-1a2b.js{suffix}").write_bytes(content)
    (assets / "picture.png").write_bytes(b"PNG")
    (tmp_path / "index.html").write_text("<title>Marquee</title>")
    (tmp_path / "index.html.gz").write_bytes(gzip.compress(b"<title>Marquee</title>"))
    transport = httpx.ASGITransport(Site(tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"Accept-Encoding": ""}) as made:
        yield made


async def get_raw(client: httpx.AsyncClient, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """A response and its content as it was sent, without decoding."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.stream("GET", path, headers=names) as answer:
        return answer, b"".join([chunk async for chunk in answer.aiter_raw()])


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("deflate", ""), ("", ""), ("br;q=0, gzip", "gzip")],
)
async def test_serves_best_accepted_coding(client: httpx.AsyncClient, accepts: str, coding: str) -> None:
    answer, content = await get_raw(client, "/assets/app-1a2b.js", accept_encoding=accepts)
    assert answer.status_code == 200
    assert answer.headers.get("content-encoding", "") == coding
    assert content == FORMS[{"br": ".br", "gzip": ".gz", "": ""}[coding]]
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_each_coding_has_its_own_entity_tag(client: httpx.AsyncClient) -> None:
    tags = {}
    for accepts in ("", "gzip", "br"):
        answer, _ = await get_raw(client, "/assets/app-1a2b.js", accept_encoding=accepts)
        tags[accepts] = answer.headers["etag"]
    assert len(set(tags.values())) == 3
    for accepts, tag in tags.items():
        same, content = await get_raw(client, "/assets/app-1a2b.js", accept_encoding=accepts, if_none_match=tag)
        assert (same.status_code, content) == (304, b"")
        assert (same.headers["etag"], same.headers["vary"]) == (tag, "Accept-Encoding")
    other, _ = await get_raw(client, "/assets/app-1a2b.js", accept_encoding="gzip", if_none_match=tags["br"])
    assert other.status_code == 200, "what one coding's cache holds is not the other's"


async def test_pages_of_the_application_are_compressed_too(client: httpx.AsyncClient) -> None:
    for path in ("/", "/watch/1"):
        answer, content = await get_raw(client, path, accept="text/html", accept_encoding="gzip")
        assert (answer.status_code, answer.headers["content-encoding"]) == (200, "gzip")
        assert answer.headers["content-type"].startswith("text/html")
        assert gzip.decompress(content) == b"<title>Marquee</title>"


async def test_file_without_compressed_forms_does_not_vary(client: httpx.AsyncClient) -> None:
    answer, content = await get_raw(client, "/assets/picture.png", accept_encoding="br, gzip")
    assert (answer.status_code, content) == (200, b"PNG")
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("", ""),
        ("*", "br"),
        ("*;q=0", ""),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("GZIP", "gzip"),
        ("identity;q=1, gzip;q=0.5", ""),
        ("gzip;q=never", ""),
        (";;,,", ""),
        ("br ; q=0.8 , gzip ; q=0.9", "gzip"),
    ],
)
def test_coding_is_chosen_by_weight(accepts: str, coding: str) -> None:
    assert choose_coding(accepts, {"br": 1, "gzip": 1}) == coding


def test_built_site_has_compressed_forms() -> None:
    built = REPOSITORY / "web" / "dist"
    scripts = [path for path in (built / "assets").glob("*.js") if path.stat().st_size >= 1024]
    assert scripts, "run `make web/dist/index.html`"
    for path in scripts:
        assert gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes()) == path.read_bytes()
        assert path.with_name(f"{path.name}.br").stat().st_size < path.stat().st_size


@pytest.mark.parametrize("language", ["en", "ko"])
def test_site_has_texts_for_all_server_codes(language: str) -> None:
    text = (REPOSITORY / "web" / "src" / "i18n" / f"{language}.ts").read_text()
    keys = set(re.findall(r"'([a-z]+\.[A-Za-z_]+)':", text))
    texts = {
        "failure": REASONS,
        "source": get_args(Tier),
        "health": [*get_args(get_type_hints(HealthView)["status"]), "connected", "disconnected"],
        "part": ["auth", "catalog", "stream", "progress", "thumbnailer", *HealthOverview.DEPENDENCIES],
    }
    missing = [f"{group}.{code}" for group, codes in texts.items() for code in codes if f"{group}.{code}" not in keys]
    assert missing == []
