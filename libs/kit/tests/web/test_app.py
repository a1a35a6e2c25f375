"""The HTTP edge: one error format, limits, what every answer carries and what no log tells."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import Field, SecretStr
from starlette.types import Scope
from structlog.testing import capture_logs

from kit.errors import ApiError, ErrorCode
from kit.health import Check, Health
from kit.ids import is_id
from kit.telemetry import current
from kit.testing.fakes import HeaderAuthenticator, as_user
from kit.web.app import MAX_JSON_BYTES, create_app
from kit.web.schemas import Page, Paging, Schema, View, errors, paging

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Film(Schema):
    """A request body."""

    title: Annotated[str, Field(min_length=1)]
    year: int = 2000
    code: SecretStr | None = None


class FilmView(View):
    """A response body."""

    title: str


def a_router() -> APIRouter:
    router = APIRouter()

    @router.get("/films")
    async def films(page: Annotated[Paging, Depends(paging)]) -> Page[FilmView]:
        items = [FilmView(title=str(page.offset))]
        return Page(items=items, page=page.page, page_size=page.page_size, total=1)

    @router.get("/films/{film_id}")
    async def film(film_id: int) -> dict[str, Any]:
        return {"id": film_id}

    @router.post("/films")
    async def add(film: Film) -> str:
        return film.title

    @router.post("/uploads")
    async def upload(request: Request) -> int:
        return len(await request.body())

    @router.get("/crash")
    async def crash() -> None:
        raise RuntimeError("password=hunter2")

    @router.get("/refuse")
    async def refuse(dependency: str | None = None) -> None:
        details = {"free_bytes": 0} | ({"dependency": dependency} if dependency else {})
        raise ApiError(ErrorCode.STORAGE_FULL, details=details, headers={"Retry-After": "60"})

    @router.get("/context")
    async def context() -> dict[str, str]:
        return {name: current(name) for name in ("service", "request_id", "traceparent")}

    @router.get("/cached")
    async def cached() -> StreamingResponse:
        async def blocks() -> AsyncIterator[bytes]:
            yield b"abc"
            await asyncio.sleep(0)
            yield b"def"

        return StreamingResponse(blocks(), headers={"Cache-Control": "max-age=60", "X-Content-Type-Options": "nosniff"})

    return router


def make_app(health: Health | None = None, max_body_bytes: Callable[[Scope], int | None] | None = None) -> FastAPI:
    return create_app(
        "kit",
        title="Kit",
        health=health or Health(),
        authenticate=HeaderAuthenticator(),
        routers={"films": a_router()},
        max_body_bytes=max_body_bytes,
    )


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://t")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app()) as client:
        yield client


def assert_error(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    details: dict[str, Any] = body["error"]["details"]
    return details


class TestErrors:
    async def test_unknown_path_is_not_found(self, client: httpx.AsyncClient) -> None:
        assert_error(await client.get("/nothing"), 404, "CONTENT_NOT_FOUND")

    async def test_trailing_slash_is_not_redirected(self, client: httpx.AsyncClient) -> None:
        """No redirect to what the client may have meant: its target would be made from the Host header."""
        assert_error(await client.get("/films/1/", headers={"Host": "evil"}), 404, "CONTENT_NOT_FOUND")

    async def test_unknown_method_is_not_allowed(self, client: httpx.AsyncClient) -> None:
        answer = await client.delete("/films/1")
        assert_error(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["Allow"] == "GET"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "title"),
            ({"title": ""}, "title"),
            ({"title": "x", "year": "soon"}, "year"),
            ({"title": "x", "yaer": 1999}, "yaer"),
        ],
    )
    async def test_a_malformed_body_names_the_field(
        self, client: httpx.AsyncClient, body: dict[str, Any], field: str
    ) -> None:
        details = assert_error(await client.post("/films", json=body), 422, "VALIDATION_FAILED")
        assert [item["field"] for item in details["fields"]] == [field]

    @pytest.mark.parametrize("query", ["page=0", "page=x", "page_size=101", "page_size=0", "page=1000001"])
    async def test_a_malformed_query_names_the_field(self, client: httpx.AsyncClient, query: str) -> None:
        details = assert_error(await client.get(f"/films?{query}"), 422, "VALIDATION_FAILED")
        assert [item["field"] for item in details["fields"]] == [query.partition("=")[0]]

    @pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"title=x", b'{"title": "\\ud800"}'])
    async def test_refuses_a_body_that_is_no_json(self, client: httpx.AsyncClient, body: bytes) -> None:
        answer = await client.post("/films", content=body, headers={"Content-Type": "application/json"})
        assert_error(answer, 422, "VALIDATION_FAILED")

    async def test_a_refused_value_is_not_repeated(self, client: httpx.AsyncClient) -> None:
        answer = await client.post("/films", json={"title": "x", "code": ["hunter2"], "year": "hunter2"})
        assert_error(answer, 422, "VALIDATION_FAILED")
        assert "hunter2" not in answer.text

    async def test_crash_reveals_nothing_and_is_logged_with_its_request(self, client: httpx.AsyncClient) -> None:
        with capture_logs() as logs:
            answer = await client.get("/crash", headers={"X-Request-ID": "req-1"})
        assert_error(answer, 500, "INTERNAL")
        assert "hunter2" not in answer.text
        assert answer.headers["X-Request-ID"] == "req-1"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        crash, request = logs
        assert crash["event"] == "request_crashed"
        assert crash["exc_info"]
        assert (request["event"], request["status"]) == ("http_request", 500)

    async def test_a_refusal_keeps_its_details_and_headers(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/refuse")
        assert assert_error(answer, 507, "STORAGE_FULL") == {"free_bytes": 0}
        assert answer.headers["Retry-After"] == "60"

    @pytest.mark.parametrize("path", ["/nothing", "/refuse", "/crash"])
    async def test_messages_follow_the_language(self, client: httpx.AsyncClient, path: str) -> None:
        with capture_logs():
            english = (await client.get(path)).json()["error"]
            korean = (await client.get(path, headers={"Accept-Language": "ko-KR,ko;q=0.9"})).json()["error"]
        assert english["message"] == ErrorCode[english["code"]].en
        assert korean["message"] == ErrorCode[english["code"]].ko


class TestBodies:
    @pytest.mark.parametrize("path", ["/uploads", "/films"])
    @pytest.mark.parametrize("chunked", [False, True])
    async def test_a_body_over_the_limit_is_refused(
        self, client: httpx.AsyncClient, path: str, *, chunked: bool
    ) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(MAX_JSON_BYTES // 65536 + 1):
                yield b" " * 65536

        content = chunks() if chunked else b" " * (MAX_JSON_BYTES + 1)
        answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert assert_error(answer, 413, "REQUEST_TOO_LARGE") == {"limit_bytes": MAX_JSON_BYTES}

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_a_body_at_the_limit_is_taken(self, client: httpx.AsyncClient, *, chunked: bool) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * MAX_JSON_BYTES

        answer = await client.post("/uploads", content=chunks() if chunked else b"x" * MAX_JSON_BYTES)
        assert answer.json() == MAX_JSON_BYTES

    async def test_a_path_may_have_a_limit_of_its_own_or_none(self) -> None:
        def limit(scope: Scope) -> int | None:
            return None if scope["path"] == "/uploads" else 10

        async with client_of(make_app(max_body_bytes=limit)) as client:
            assert (await client.post("/uploads", content=b"x" * (MAX_JSON_BYTES + 1))).json() == MAX_JSON_BYTES + 1
            assert_error(await client.post("/films", json={"title": "too long"}), 413, "REQUEST_TOO_LARGE")


class TestAnswers:
    @pytest.mark.parametrize("path", ["/films", "/nothing", "/refuse", "/healthz"])
    async def test_every_answer_is_safe_to_open_in_a_browser(self, client: httpx.AsyncClient, path: str) -> None:
        headers = (await client.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Cache-Control"] == "no-store"

    async def test_route_may_override_the_headers(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/cached")
        assert answer.headers["Cache-Control"] == "max-age=60"
        assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]

    async def test_a_request_keeps_its_id(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/context", headers={"X-Request-ID": "from-the-gateway.1", "traceparent": TRACE})
        assert answer.headers["X-Request-ID"] == "from-the-gateway.1"
        context = answer.json()
        assert (context["service"], context["request_id"]) == ("kit", "from-the-gateway.1")
        assert context["traceparent"][:36] == TRACE[:36]

    @pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "é"])
    async def test_harmful_request_id_is_replaced(self, client: httpx.AsyncClient, given: str) -> None:
        answer = await client.get("/context", headers=[(b"x-request-id", given.encode("latin-1"))])
        assert is_id(answer.headers["X-Request-ID"])
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]

    async def test_a_list_is_paged(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/films?page=3&page_size=7")).json() == {
            "items": [{"title": "14"}],
            "page": 3,
            "page_size": 7,
            "total": 1,
        }


class TestOperations:
    async def test_live_process_is_not_ready_before_its_checks(self) -> None:
        working = {"database": True, "broker": True}

        def check(name: str, *, required: bool) -> Check:
            async def probe() -> None:
                if not working[name]:
                    raise ConnectionError

            return Check(probe, required=required)

        health = Health({"database": check("database", required=True), "broker": check("broker", required=False)})
        async with client_of(make_app(health)) as client:

            async def ready() -> tuple[int, dict[str, bool]]:
                await health.run_checks()
                answer = await client.get("/readyz")
                return answer.status_code, answer.json()["checks"]

            assert (await client.get("/readyz")).status_code == 503
            assert await ready() == (200, {"database": True, "broker": True})
            working["broker"] = False
            assert await ready() == (200, {"database": True, "broker": False})
            working["database"] = False
            assert await ready() == (503, {"database": False, "broker": False})
            assert (await client.get("/healthz")).status_code == 200
            working["database"] = True
            assert (await ready())[0] == 200
            health.stop()
            assert (await ready())[0] == 503
            assert (await client.get("/healthz")).status_code == 200

    async def test_requests_are_measured_by_route_and_not_by_address(self, client: httpx.AsyncClient) -> None:
        await client.get("/films/123456")
        await client.get("/films/nothing-123456")
        await client.get("/unheard-of-123456")
        answer = await client.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain")
        series = [line for line in answer.text.splitlines() if line.startswith("http_request_seconds_count")]
        assert "123456" not in answer.text
        for route, status in (("/films/{film_id}", "200"), ("/films/{film_id}", "422"), ("unmatched", "404")):
            assert any(f'route="{route}"' in line and f'status="{status}"' in line for line in series)


class TestLog:
    async def test_request_is_logged_once(self, client: httpx.AsyncClient) -> None:
        with capture_logs() as logs:
            await client.get("/cached")
        (entry,) = logs
        assert entry.pop("duration_ms") >= 0
        assert entry == {
            "event": "http_request",
            "log_level": "info",
            "method": "GET",
            "path": "/cached",
            "status": 200,
            "bytes": 6,
            "user_id": None,
            "client": "127.0.0.1",
        }

    async def test_line_of_a_refusal_says_why(self, client: httpx.AsyncClient) -> None:
        with capture_logs() as logs:
            await client.get("/refuse")
            await client.get("/refuse?dependency=database")
            await client.get("/nothing")
        reasons = [(entry["status"], entry["code"], entry.get("dependency")) for entry in logs]
        assert reasons == [
            (507, "STORAGE_FULL", None),
            (507, "STORAGE_FULL", "database"),
            (404, "CONTENT_NOT_FOUND", None),
        ]

    @pytest.mark.parametrize("path", ["/films", "/nothing", "/refuse", "/crash"])
    async def test_tickets_and_tokens_are_never_logged(self, client: httpx.AsyncClient, path: str) -> None:
        with capture_logs() as logs:
            await client.get(
                f"{path}?ticket=T1CKET",
                headers={"Authorization": "Bearer T0KEN", "Cookie": "marquee_access=C00KIE", **as_user("u1")},
            )
        assert logs
        assert not re.search("T1CKET|T0KEN|C00KIE", repr(logs))

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
    async def test_probes_are_not_logged(self, client: httpx.AsyncClient, path: str) -> None:
        with capture_logs() as logs:
            await client.get(path)
        assert logs == []


def test_the_documentation_of_a_route_names_its_errors() -> None:
    answers = errors(ErrorCode.AUTH_USER_PENDING, ErrorCode.AUTH_FORBIDDEN, ErrorCode.CONTENT_NOT_FOUND)
    assert answers[403]["description"] == "`AUTH_USER_PENDING`, `AUTH_FORBIDDEN`"
    assert set(answers) == {403, 404}
    schema = make_app().openapi()
    assert set(schema["paths"]) == {
        "/films",
        "/films/{film_id}",
        "/uploads",
        "/crash",
        "/refuse",
        "/context",
        "/cached",
    }
