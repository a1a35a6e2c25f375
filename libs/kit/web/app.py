"""The HTTP application of a service: its routes, one error format, OpenAPI, health and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.types import Scope

from kit.auth.authentication import Authenticate
from kit.errors import ApiError, ErrorCode
from kit.health import Health
from kit.telemetry import collect_metrics
from kit.web.errors import on_api_error, on_http_exception, on_validation_error
from kit.web.middleware import RequestMiddleware
from kit.web.schemas import REFERENCE, ErrorBody, errors

MAX_JSON_BYTES = 1 << 20
_COMMON_ERRORS = errors(ErrorCode.VALIDATION_FAILED, ErrorCode.AUTH_INVALID_TOKEN, ErrorCode.AUTH_FORBIDDEN)


class ServiceApp(FastAPI):
    """An application whose OpenAPI document has the body of errors, to which `kit.web.schemas.errors` refers."""

    def openapi(self) -> dict[str, Any]:
        """Return the document."""
        document = super().openapi()
        _, definitions = models_json_schema([(ErrorBody, "serialization")], ref_template=REFERENCE)
        document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        return document


def create_app(
    service: str,
    *,
    title: str,
    health: Health,
    authenticate: Authenticate | None,
    routers: Mapping[str, APIRouter],
    max_body_bytes: Callable[[Scope], int | None] | None = None,
) -> FastAPI:
    """Build the HTTP application of a service.

    Args:
        service: its name in logs and metrics.
        title: its name in the API documentation.
        health: what `/readyz` reports.
        authenticate: authenticates callers of protected routes; None where a service has none.
        routers: its routes, by OpenAPI tag.
        max_body_bytes: the largest request body of a path; None for no limit. One MiB everywhere by default.
    """
    app = ServiceApp(
        title=title,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # A redirect would be made from the Host header, and would not be in the one error format.
        redirect_slashes=False,
    )
    app.state.authenticate = authenticate
    app.add_exception_handler(ApiError, on_api_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    for tag, router in routers.items():
        for route in router.routes:
            if isinstance(route, APIRoute):
                route.tags = [tag, *route.tags]
                route.responses = _COMMON_ERRORS | route.responses
        app.router.routes += router.routes
    app.router.routes += _operations(health).routes
    app.add_middleware(
        RequestMiddleware, service=service, max_body_bytes=max_body_bytes or (lambda _scope: MAX_JSON_BYTES)
    )
    return app


def join_routers(*routers: APIRouter) -> APIRouter:
    """Return a router with the routes of several.

    `include_router` would build each route once more at the first request, which takes 0.1 s for the routes of catalog.
    """
    joined = APIRouter()
    for router in routers:
        joined.routes += router.routes
    return joined


def _operations(health: Health) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        ready = health.is_ready()
        body = {"status": "ready" if ready else "not ready", "checks": health.states()}
        return JSONResponse(body, status_code=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(collect_metrics(), media_type=CONTENT_TYPE_LATEST)

    return router
