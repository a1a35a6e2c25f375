"""Other spellings of routes: what they stand for, and that embedded mode takes them. nginx: gateway/test_routes.py."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from apps.marquee.aliases import ALIASES, Alias, nginx_rewrites, resolve_alias
from apps.marquee.gateway import Gateway
from apps.marquee.openapi import document
from kit.web.limits import LIMIT_HEADER, RequestLimits
from tests.stacks.base import REPOSITORY

ID = "0190a6f5-0000-7000-8000-000000000000"


def example(template: str) -> str:
    return template.format(id=ID, rest="health")


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.path)
def test_alias_stands_for_its_target(alias: Alias) -> None:
    assert resolve_alias(example(alias.path)) == example(alias.target)


def test_every_target_exists() -> None:
    paths = [re.sub(r"\{\w+\}", "{id}", path) for path in document()["paths"]]
    for alias in ALIASES:
        if alias.target.endswith("{rest}"):
            assert any(path.startswith(alias.target.removesuffix("{rest}")) for path in paths), alias
        else:
            assert alias.target in paths, alias


def test_no_alias_hides_a_route_or_another_alias() -> None:
    for path in document()["paths"]:
        route = re.sub(r"\{\w+\}", ID, path)
        assert resolve_alias(route) == route
    for number, alias in enumerate(ALIASES):
        assert all(each.path != alias.path for each in ALIASES[:number])
        assert resolve_alias(example(alias.target)) == example(alias.target)


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v2/videos", "/api/stream", f"/api/stream/{ID}/other", "/api/contentsx"],
)
def test_other_paths_stay_as_they_are(path: str) -> None:
    assert resolve_alias(path) == path


def test_configuration_of_nginx_is_fresh() -> None:
    assert (REPOSITORY / "gateway" / "aliases.conf").read_text() == nginx_rewrites()


def echo(service: str) -> ASGIApp:
    """Return an application that answers with what reached it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        answer = {
            "service": service,
            "method": scope["method"],
            "path": scope["path"],
            "raw_path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "limit": request.headers.get(LIMIT_HEADER.decode()),
        }
        await JSONResponse(answer)(scope, receive, send)

    return app


@pytest.fixture
def embedded(tmp_path: Path) -> httpx.AsyncClient:
    apps = {name: echo(name) for name in ("auth", "catalog", "stream", "progress")}
    gateway = Gateway(apps, tmp_path, RequestLimits(1_000, 1_000))
    return httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://marquee.test")


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.path)
async def test_embedded_gateway_treats_alias_as_its_target(
    embedded: httpx.AsyncClient, alias: Alias, method: str
) -> None:
    credentials = {"Authorization": "Bearer x"}
    async with embedded:
        answer = await embedded.request(method, f"{example(alias.path)}?start=1%2B2", headers=credentials)
        direct = await embedded.request(method, f"{example(alias.target)}?start=1%2B2", headers=credentials)
    assert answer.json() == direct.json()
    assert answer.json()["path"] == example(alias.target)
    assert answer.json()["query"] == "start=1%2B2"


async def test_escaped_path_of_alias_stays_escaped(embedded: httpx.AsyncClient) -> None:
    async with embedded:
        answer = (await embedded.get("/v1/videos/%ED%95%9C%20/stream")).json()
    assert (answer["path"], answer["raw_path"]) == ("/api/videos/한 /stream", "/api/videos/%ED%95%9C%20/stream")
