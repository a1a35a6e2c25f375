"""`docs/http` has a request to try every documented route with, and none for what isn't there."""

from __future__ import annotations

import re

import pytest

from apps.marquee.openapi import document_parts
from tests.stacks.base import REPOSITORY

FOLDER = REPOSITORY / "docs" / "http"
LOGIN = ("POST", "/api/auth/login")
"""Every file begins with it."""
UNDOCUMENTED = {("GET", "/.well-known/jwks.json")}
_REQUEST = re.compile(r"^(GET|HEAD|OPTIONS|PUT|POST|PATCH|DELETE) \{\{base\}\}([^?\s]+)(?:\?(\S+))?", re.MULTILINE)
_VARIABLE = re.compile(r"\{\{(\w+)\}\}")


def test_every_service_with_routes_has_a_request_file() -> None:
    with_routes = {name for name, part in document_parts().items() if part.get("paths")}
    assert {path.stem for path in FOLDER.glob("*.http")} == with_routes


@pytest.mark.parametrize("service", [path.stem for path in sorted(FOLDER.glob("*.http"))])
def test_request_file_has_exactly_the_routes_of_its_service(service: str) -> None:
    paths = document_parts()[service]["paths"]
    documented = {(method.upper(), path): facts for path, methods in paths.items() for method, facts in methods.items()}
    text = (FOLDER / f"{service}.http").read_text()
    requests = [(method, _VARIABLE.sub(r"{\1}", path), query) for method, path, query in _REQUEST.findall(text)]
    written = {(method, path) for method, path, _ in requests} - UNDOCUMENTED
    if LOGIN not in documented:
        written.remove(LOGIN)
    missing = sorted(set(documented) - written)
    assert not missing, f"Add a request for each to docs/http/{service}.http: {missing}"
    assert not written - set(documented), f"There is no such route: {sorted(written - set(documented))}"
    for method, path, query in requests:
        known = {each["name"] for each in documented.get((method, path), {}).get("parameters", [])}
        asked = {part.partition("=")[0] for part in query.split("&") if part}
        assert asked <= known, (method, path, asked - known)


@pytest.mark.parametrize("service", [path.stem for path in sorted(FOLDER.glob("*.http"))])
def test_variables_of_a_request_file_are_set_in_it(service: str) -> None:
    text = (FOLDER / f"{service}.http").read_text()
    assert set(_VARIABLE.findall(text)) <= set(re.findall(r"^@(\w+) =", text, re.MULTILINE))
