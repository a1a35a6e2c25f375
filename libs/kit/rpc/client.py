"""Calls to other services. Every failing call is logged once, counted, and named in the error that follows from it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import grpc
import structlog
from google.protobuf.message import Message
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kit.errors import ApiError, ErrorCode, service_unavailable
from kit.rpc.wire import DEFECT, ERROR_CODE_KEY, ERROR_DETAILS_KEY
from kit.telemetry import GRPC_CLIENT_FAILURES, current

log = structlog.get_logger()

DEADLINE_SEC: Final = 2.0

Request_contra = TypeVar("Request_contra", bound=Message, contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)

RETRY_AFTER_SEC: Final = 2
_NO_ANSWER: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_BROKEN_OFF: Final = (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
"""What calls end with, besides, when the peer stops or dies while it handles them."""

_CHANNEL_OPTIONS = [
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Services start in any order: retry soon instead of after gRPC's default of two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
]


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
        """Call the method."""


class _FailureReporter(aio.UnaryUnaryClientInterceptor):
    """Logs and counts the failing calls of one channel.

    Args:
        target: address of the channel.
    """

    def __init__(self, target: str) -> None:
        self._target = target

    async def intercept_unary_unary(
        self,
        continuation: Callable[[aio.ClientCallDetails, Any], Awaitable[Any]],
        client_call_details: aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        started = time.perf_counter()
        invocation = await continuation(client_call_details, request)
        try:
            status = await invocation.code()
        except asyncio.CancelledError:
            # Waiting for the status alone would leave the call running until its deadline.
            invocation.cancel()
            raise
        if status is not grpc.StatusCode.OK:
            # Bytes, whatever the stubs say.
            method: Any = client_call_details.method
            await self._report(method.decode(), status, round((time.perf_counter() - started) * 1000), invocation)
        return invocation

    async def _report(self, method: str, status: grpc.StatusCode, elapsed_ms: int, invocation: Any) -> None:
        code = _error_code(await invocation.trailing_metadata())
        GRPC_CLIENT_FAILURES.labels(current("service"), self._target, method, status.name).inc()
        if code or (status is grpc.StatusCode.NOT_FOUND and method.startswith("/grpc.health.")):
            # The peer answered, with a refusal that it decided on.
            report = log.info
        else:
            report = log.warning if _is_unanswered(status, await invocation.details()) else log.error
        report(
            "grpc_call_failed",
            method=method,
            target=self._target,
            grpc_status=status.name,
            elapsed_ms=elapsed_ms,
            code=code and code.value,
            grpc_details=await invocation.details(),
        )


def connect(address: str) -> aio.Channel:
    """Return a channel to another service, `host:port` or `unix:/path`; it connects on first use."""
    return aio.insecure_channel(address, options=_CHANNEL_OPTIONS, interceptors=[_FailureReporter(address)])


async def call(
    method: UnaryCall[Request_contra, Response_co], request: Request_contra, *, deadline_sec: float = DEADLINE_SEC
) -> Response_co:
    """Call a method of another service and return its answer.

    Args:
        method: a stub's method.
        request: its argument.
        deadline_sec: seconds after which to stop waiting, connection time included.

    Raises:
        ApiError: the one that the other service raised; SERVICE_UNAVAILABLE when it did not answer in time, with the
            service's name as `dependency` in the details; INTERNAL when it failed otherwise.
    """
    metadata = (("x-request-id", current("request_id")), ("traceparent", current("traceparent")))
    try:
        return await method(request, timeout=deadline_sec, metadata=metadata, wait_for_ready=True)
    except aio.AioRpcError as error:
        raise _translate(error, _service_of(request)) from error


async def probe(channel: aio.Channel, part: str = "", *, deadline_sec: float = 1.0) -> bool | None:
    """Ask a service's health service about a part; the empty name is the whole service.

    Returns:
        Whether it is healthy; None when the service has no such part.

    Raises:
        ApiError: SERVICE_UNAVAILABLE when it does not answer within `deadline_sec` seconds.
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


def _translate(error: aio.AioRpcError, service: str) -> ApiError:
    trailing = error.trailing_metadata()
    if code := _error_code(trailing):
        details = json.loads(str(dict(trailing or ()).get(ERROR_DETAILS_KEY, "{}")))
        if code not in {ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.STORAGE_FULL}:
            return ApiError(code, details=details)
        # A dependency that the service named itself is closer to the cause.
        details.setdefault("dependency", service)
        retry_after = str(details.get("retry_after_sec", RETRY_AFTER_SEC))
        return ApiError(code, details=details, headers={"Retry-After": retry_after})
    if _is_unanswered(error.code(), error.details()):
        return service_unavailable(service, retry_after_sec=RETRY_AFTER_SEC)
    return ApiError(ErrorCode.INTERNAL)


def _is_unanswered(status: grpc.StatusCode, details: str | None) -> bool:
    """Return whether a call failed because the peer is away, rather than by a defect of a handler."""
    return status in _NO_ANSWER or (status in _BROKEN_OFF and details != DEFECT)


def _error_code(trailing: Any) -> ErrorCode | None:
    return ErrorCode.parse(str(dict(trailing or ()).get(ERROR_CODE_KEY)))


def _service_of(request: Message) -> str:
    """Return the name of the service that a request belongs to: `catalog` for one of `marquee.catalog.v1`."""
    package: str = request.DESCRIPTOR.file.package
    return package.removeprefix("marquee.").partition(".")[0]
