"""gRPC between services: every call has a deadline, errors keep their code, traces go on.

An `ApiError` raised by a servicer reaches the caller as the same `ApiError`: its code travels in the trailing metadata.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

import grpc
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from kit.errors import ApiError, ErrorCode
from kit.settings import SettingsError
from kit.telemetry import GRPC_SECONDS, accept_request_id, continue_trace, current, service_context

log = structlog.get_logger()

DEADLINE_SEC = 2.0
_CODE = "marquee-error-code"
_DETAILS = "marquee-error-details"
_NO_DEADLINE_MAX_SEC = 30.0

Request_contra = TypeVar("Request_contra", contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)

_CHANNEL_OPTIONS = [
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Services come up in any order: look again soon instead of after gRPC's default two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
]
_SERVER_OPTIONS = [
    # Callers resolve names again at each new connection; without an age limit a new replica would get none of them.
    ("grpc.max_connection_age_ms", 60_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]

shares_port: ContextVar[bool] = ContextVar("shares_port", default=False)
"""Whether servers made now listen on a port that other processes listen on, too; otherwise a taken port is an error."""


class UnaryCall(Protocol[Request_contra, Response_co]):
    """A unary method of an asynchronous stub."""

    def __call__(
        self,
        request: Request_contra,
        /,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        wait_for_ready: bool | None = None,
    ) -> Awaitable[Response_co]:
        """Calls the method."""


def connect(address: str) -> aio.Channel:
    """A channel to another service, `host:port` or `unix:/path`; it connects when it is first used."""
    return aio.insecure_channel(address, options=_CHANNEL_OPTIONS)


async def ask(
    method: UnaryCall[Request_contra, Response_co], request: Request_contra, *, deadline_sec: float = DEADLINE_SEC
) -> Response_co:
    """Calls a method of another service.

    Args:
        method: a stub's method.
        request: its argument.
        deadline_sec: seconds after which the caller stops waiting, connection time included.

    Raises:
        ApiError: what the other service answered, or SERVICE_UNAVAILABLE when it did not answer in time.
    """
    metadata = (("x-request-id", current("request_id")), ("traceparent", current("traceparent")))
    try:
        return await method(request, timeout=deadline_sec, metadata=metadata, wait_for_ready=True)
    except aio.AioRpcError as error:
        trailing = dict(error.trailing_metadata() or ())
        if code := ErrorCode.parse(str(trailing.get(_CODE))):
            raise ApiError(code, details=json.loads(trailing.get(_DETAILS, "{}"))) from error
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise ApiError(ErrorCode.SERVICE_UNAVAILABLE, headers={"Retry-After": "2"}) from error
        log.error("grpc_call_failed", grpc_status=error.code().name, grpc_details=error.details())
        raise ApiError(ErrorCode.INTERNAL) from error


def timestamp(moment: datetime) -> Timestamp:
    """A moment as protobuf has it."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


class _Edge(aio.ServerInterceptor):
    """Around each call: logging context, metrics, a deadline, and errors in the platform's vocabulary."""

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
        # The stubs know of synchronous handlers only.
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
                    context.set_trailing_metadata(((_CODE, error.code), (_DETAILS, json.dumps(error.details))))
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
                    await context.abort(grpc.StatusCode.INTERNAL, "internal error")
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
        self._server = aio.server(interceptors=[_Edge(service)], options=options)
        self._health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for add in register:
            add(self._server)
        self._bind = bind
        self.port = 0

    async def start(self) -> None:
        """Listens.

        Raises:
            SettingsError: the address can't be had.
        """
        try:
            self.port = self._server.add_insecure_port(self._bind)
        except RuntimeError as error:
            sentence = f"gRPC can't listen on {self._bind}; set MARQUEE_GRPC_BIND to a free address."
            raise SettingsError(sentence) from error
        # The health service would say "serving" from the first moment on, before anything was looked at.
        await self.report("", healthy=False)
        await self._server.start()

    async def report(self, name: str, healthy: bool) -> None:  # noqa: FBT001 - the value reported, not a mode
        """Sets what the health service says of a part; the empty name is the whole service."""
        serving = health_pb2.HealthCheckResponse.SERVING
        not_serving = health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set(name, serving if healthy else not_serving)

    async def stop(self, grace_sec: float) -> None:
        """Finishes the calls in hand, at most for `grace_sec`."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_sec)


async def probe(channel: aio.Channel, part: str = "", *, deadline_sec: float = 1.0) -> bool | None:
    """Asks a service's health: True or False as it says, None when it knows no such part.

    Raises:
        ApiError: SERVICE_UNAVAILABLE when it does not answer.
    """
    # The stubs leave out the method.
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=part), timeout=deadline_sec)
    except aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            return None
        raise ApiError(ErrorCode.SERVICE_UNAVAILABLE) from error
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
