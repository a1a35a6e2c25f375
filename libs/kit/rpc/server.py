"""The gRPC server of a service: deadlines, metrics, errors with their codes, and the standard health service.

An `ApiError` raised by a servicer reaches the caller as the same `ApiError`: its code travels in the trailing metadata.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, cast

import grpc
import structlog
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from kit.errors import ApiError
from kit.rpc.wire import DEFECT, ERROR_CODE_KEY, ERROR_DETAILS_KEY
from kit.settings import SettingsError
from kit.telemetry import GRPC_SECONDS, accept_request_id, continue_trace, service_context

log = structlog.get_logger()

_NO_DEADLINE_MAX_SEC = 30.0

_SERVER_OPTIONS = [
    # Clients resolve names only at a new connection; without an age limit a new replica would receive no calls.
    ("grpc.max_connection_age_ms", 60_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]

shares_port: ContextVar[bool] = ContextVar("shares_port", default=False)
"""Whether new servers share their port with other processes; otherwise a taken port is an error."""


class _CallInterceptor(aio.ServerInterceptor):
    """Wraps each call in a logging context, metrics, a deadline, and the translation of errors."""

    def __init__(self, service: str) -> None:
        self._service = service

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None or handler_call_details.method.startswith("/grpc.health."):
            return handler
        # The stubs only type synchronous handlers.
        answer: Any = handler.unary_unary
        method = handler_call_details.method
        metadata = dict(handler_call_details.invocation_metadata or ())

        async def guarded(request: Any, context: aio.ServicerContext[Any, Any]) -> Any:
            started = time.perf_counter()
            status = "OK"
            with service_context(
                self._service,
                request_id=accept_request_id(str(metadata.get("x-request-id", ""))),
                traceparent=continue_trace(str(metadata.get("traceparent", ""))),
            ):
                try:
                    # None without a deadline, whatever the stubs say.
                    remaining = cast("float | None", context.time_remaining())
                    limit = _NO_DEADLINE_MAX_SEC if remaining is None else min(remaining, _NO_DEADLINE_MAX_SEC)
                    async with asyncio.timeout(limit):
                        return await answer(request, context)
                except ApiError as error:
                    status = error.code.grpc_status.name
                    context.set_trailing_metadata(
                        ((ERROR_CODE_KEY, error.code), (ERROR_DETAILS_KEY, json.dumps(error.details)))
                    )
                    await context.abort(error.code.grpc_status, str(error))
                except (asyncio.CancelledError, aio.AbortError):
                    status = "CANCELLED"
                    raise
                except TimeoutError:
                    status = "DEADLINE_EXCEEDED"
                    await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the caller's deadline has passed")
                except Exception:
                    status = "INTERNAL"
                    log.exception("grpc_handler_failed", method=method)
                    await context.abort(grpc.StatusCode.INTERNAL, DEFECT)
                finally:
                    GRPC_SECONDS.labels(self._service, method, status).observe(time.perf_counter() - started)

        return grpc.unary_unary_rpc_method_handler(
            guarded,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class GrpcServer:
    """One service's gRPC server, with the standard health service.

    Args:
        service: the service's name, for logs and metrics.
        bind: `host:port` or `unix:/path`.
        register: adds the service's servicers to the server.
    """

    def __init__(self, service: str, bind: str, register: Sequence[Callable[[aio.Server], None]] = ()) -> None:
        options = [*_SERVER_OPTIONS, ("grpc.so_reuseport", int(shares_port.get()))]
        self._server = aio.server(interceptors=[_CallInterceptor(service)], options=options)
        self._health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for add in register:
            add(self._server)
        self._bind = bind
        self.port = 0

    async def start(self) -> None:
        """Start to listen.

        Raises:
            SettingsError: the address is taken or invalid.
        """
        try:
            self.port = self._server.add_insecure_port(self._bind)
        except RuntimeError as error:
            sentence = f"gRPC can't listen on {self._bind}; set MARQUEE_GRPC_BIND to a free address."
            raise SettingsError(sentence) from error
        # The health service reports "serving" from its creation on, before any check has run.
        await self.report("", healthy=False)
        await self._server.start()

    async def report(self, name: str, healthy: bool) -> None:  # noqa: FBT001 - the value reported, not a mode
        """Set the health of a part; the empty name is the whole service."""
        serving = health_pb2.HealthCheckResponse.SERVING
        not_serving = health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set(name, serving if healthy else not_serving)

    async def stop(self, grace_sec: float) -> None:
        """Refuse new calls and finish running ones within `grace_sec` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_sec)
