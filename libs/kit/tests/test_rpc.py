"""gRPC between services, over a real socket: deadlines, errors, what travels along."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc import aio
from prometheus_client import REGISTRY

from kit.errors import ApiError, ErrorCode
from kit.rpc import GrpcServer, call, connect, probe, timestamp
from kit.settings import SettingsError
from kit.telemetry import current
from marquee.auth.v1 import auth_pb2, auth_pb2_grpc

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
GET_JWKS = "/marquee.auth.v1.AuthService/GetJwks"
Answer = Callable[[aio.ServicerContext[Any, Any]], Awaitable[str] | str]


class Servicer(auth_pb2_grpc.AuthServiceServicer):
    """Answers as a test says."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _context: "{}"

    async def GetJwks(  # noqa: N802 - the method of the contract
        self,
        request: auth_pb2.GetJwksRequest,
        context: aio.ServicerContext[Any, Any],
    ) -> auth_pb2.GetJwksResponse:
        answer = self.answer(context)
        return auth_pb2.GetJwksResponse(jwks_json=await answer if inspect.isawaitable(answer) else answer)

    async def GetUsers(  # noqa: N802 - the method of the contract
        self, request: auth_pb2.GetUsersRequest, context: aio.ServicerContext[Any, Any]
    ) -> auth_pb2.GetUsersResponse:
        raise NotImplementedError

    async def GetCorporations(  # noqa: N802 - the method of the contract
        self, request: auth_pb2.GetCorporationsRequest, context: aio.ServicerContext[Any, Any]
    ) -> auth_pb2.GetCorporationsResponse:
        raise NotImplementedError

    async def ListRevocations(  # noqa: N802 - the method of the contract
        self, request: auth_pb2.ListRevocationsRequest, context: aio.ServicerContext[Any, Any]
    ) -> auth_pb2.ListRevocationsResponse:
        raise NotImplementedError

    async def VerifyBasic(  # noqa: N802 - the method of the contract
        self, request: auth_pb2.VerifyBasicRequest, context: aio.ServicerContext[Any, Any]
    ) -> auth_pb2.VerifyBasicResponse:
        raise NotImplementedError


class Peer:
    """Both ends of a connection between two services."""

    def __init__(self, servicer: Servicer, server: GrpcServer, channel: aio.Channel, target: str) -> None:
        self.target = target
        self.servicer = servicer
        self.server = server
        self.channel = channel
        self._stub = auth_pb2_grpc.AuthServiceStub(channel)

    async def call(self, answer: Answer | None = None, deadline_sec: float = 5) -> str:
        if answer:
            self.servicer.answer = answer
        reply = await call(self._stub.GetJwks, auth_pb2.GetJwksRequest(), deadline_sec=deadline_sec)
        return reply.jwks_json


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    address = f"unix:{tmp_path}/rpc"
    servicer = Servicer()
    server = GrpcServer("kit", address, [lambda each: auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, each)])
    await server.start()
    async with connect(address) as channel:
        yield Peer(servicer, server, channel, address)
    await server.stop(0)


def failures(target: str, status: str, service: str = "") -> float:
    labels = {"service": service, "target": target, "method": GET_JWKS, "status": status}
    return REGISTRY.get_sample_value("grpc_client_failures_total", labels) or 0


def raising(error: BaseException) -> Answer:
    def answer(_context: aio.ServicerContext[Any, Any]) -> str:
        raise error

    return answer


async def test_an_answer_arrives(peer: Peer) -> None:
    assert await peer.call(lambda _context: "한글") == "한글"


@pytest.mark.parametrize("code", ErrorCode)
async def test_every_error_keeps_its_code_and_details(peer: Peer, code: ErrorCode) -> None:
    details = {"limit": 3, "devices": [{"name": "거실 TV"}], "none": None, "dependency": "redis"}
    with pytest.raises(ApiError) as caught:
        await peer.call(raising(ApiError(code, details=details)))
    assert caught.value.code == code
    assert caught.value.details == details


async def test_a_code_of_a_newer_release_becomes_internal(peer: Peer) -> None:
    async def refuse(context: aio.ServicerContext[Any, Any]) -> str:
        context.set_trailing_metadata((("marquee-error-code", "QUANTUM_FLUX"),))
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "too new")

    with pytest.raises(ApiError) as caught:
        await peer.call(refuse)
    assert caught.value.code == "INTERNAL"


async def test_crash_does_not_reveal_its_cause(peer: Peer) -> None:
    with pytest.raises(ApiError) as caught:
        await peer.call(raising(RuntimeError("password=hunter2")))
    assert caught.value.code == "INTERNAL"
    cause = caught.value.__cause__
    assert isinstance(cause, aio.AioRpcError)
    assert "hunter2" not in f"{cause.details()} {cause.trailing_metadata()}"


async def test_an_unknown_method_is_internal(tmp_path: Path) -> None:
    server = GrpcServer("kit", f"unix:{tmp_path}/rpc")
    await server.start()
    async with connect(f"unix:{tmp_path}/rpc") as channel:
        with pytest.raises(ApiError) as caught:
            await call(auth_pb2_grpc.AuthServiceStub(channel).GetJwks, auth_pb2.GetJwksRequest())
    assert caught.value.code == "INTERNAL"
    await server.stop(0)


async def test_call_ends_at_its_deadline_and_stops_the_handler(peer: Peer) -> None:
    stopped = asyncio.Event()

    async def hang(_context: aio.ServicerContext[Any, Any]) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    started = time.monotonic()
    with pytest.raises(ApiError) as caught:
        await peer.call(hang, deadline_sec=0.1)
    assert time.monotonic() - started < 60
    assert caught.value.code == "SERVICE_UNAVAILABLE"
    assert caught.value.headers["Retry-After"]
    async with asyncio.timeout(60):
        await stopped.wait()


@pytest.mark.parametrize("code", [ErrorCode.CONTENT_NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE])
async def test_a_refused_call_is_logged_and_counted_once(peer: Peer, code: ErrorCode) -> None:
    before = failures(peer.target, code.grpc_status.name)
    with structlog.testing.capture_logs() as logs, pytest.raises(ApiError):
        await peer.call(raising(ApiError(code)))
    (line,) = [entry for entry in logs if entry["event"] == "grpc_call_failed"]
    assert 0 <= line.pop("elapsed_ms") < 60_000
    assert line == {
        "event": "grpc_call_failed",
        "log_level": "info",
        "method": GET_JWKS,
        "target": peer.target,
        "grpc_status": code.grpc_status.name,
        "code": code.value,
        "grpc_details": code.value,
    }
    assert failures(peer.target, code.grpc_status.name) == before + 1


async def test_a_call_without_an_answer_is_logged_counted_and_named(peer: Peer) -> None:
    async def hang(_context: aio.ServicerContext[Any, Any]) -> str:
        await asyncio.Event().wait()
        return ""

    with (
        structlog.contextvars.bound_contextvars(service="catalog"),
        structlog.testing.capture_logs() as logs,
        pytest.raises(ApiError) as caught,
    ):
        await peer.call(hang, deadline_sec=0.2)
    assert (caught.value.code, caught.value.details) == ("SERVICE_UNAVAILABLE", {"dependency": "auth"})
    (line,) = [entry for entry in logs if entry["event"] == "grpc_call_failed"]
    assert line["elapsed_ms"] >= 190
    assert (line["log_level"], line["method"], line["target"]) == ("warning", GET_JWKS, peer.target)
    assert (line["grpc_status"], line["code"]) == ("DEADLINE_EXCEEDED", None)
    assert failures(peer.target, "DEADLINE_EXCEEDED", service="catalog") == 1


async def test_a_crash_of_the_peer_is_logged_as_an_error(peer: Peer) -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(ApiError) as caught:
        await peer.call(raising(RuntimeError("password=hunter2")))
    assert (caught.value.code, caught.value.details) == ("INTERNAL", {})
    (line,) = [entry for entry in logs if entry["event"] == "grpc_call_failed"]
    assert (line["log_level"], line["grpc_status"], line["code"]) == ("error", "INTERNAL", None)
    assert failures(peer.target, "INTERNAL") == 1


async def test_an_unavailable_peer_is_named_unless_it_named_its_own_dependency(peer: Peer) -> None:
    for details, dependency in (({}, "auth"), ({"dependency": "redis"}, "redis")):
        with pytest.raises(ApiError) as caught:
            await peer.call(raising(ApiError(ErrorCode.SERVICE_UNAVAILABLE, details=details)))
        assert caught.value.details == {"dependency": dependency}


async def test_refusals_of_a_peer_that_lacks_something_say_when_to_ask_again(peer: Peer) -> None:
    for code, details, seconds in (
        (ErrorCode.SERVICE_UNAVAILABLE, {"dependency": "redis", "retry_after_sec": 17}, "17"),
        (ErrorCode.SERVICE_UNAVAILABLE, {}, "2"),
        (ErrorCode.STORAGE_FULL, {"dependency": "database"}, "2"),
    ):
        with pytest.raises(ApiError) as caught:
            await peer.call(raising(ApiError(code, details=details)))
        assert (caught.value.code, caught.value.headers) == (code, {"Retry-After": seconds})


@pytest.mark.parametrize("status", [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL])
async def test_call_that_a_dying_peer_broke_off_is_answered_503(peer: Peer, status: grpc.StatusCode) -> None:
    async def break_off(context: aio.ServicerContext[Any, Any]) -> str:
        await context.abort(status, "RST_STREAM with error code 8")
        return ""

    with structlog.testing.capture_logs() as logs, pytest.raises(ApiError) as caught:
        await peer.call(break_off)
    assert (caught.value.code, caught.value.dependency) == (ErrorCode.SERVICE_UNAVAILABLE, "auth")
    (line,) = [entry for entry in logs if entry["event"] == "grpc_call_failed"]
    assert line["log_level"] == "warning"


async def test_a_call_that_succeeds_is_neither_logged_nor_counted(peer: Peer) -> None:
    with structlog.testing.capture_logs() as logs:
        await peer.call(lambda _context: "{}")
    assert not logs
    assert failures(peer.target, "OK") == 0


async def test_a_cancelled_call_is_cancelled_at_the_server_and_no_failure(peer: Peer) -> None:
    arrived, stopped = asyncio.Event(), asyncio.Event()

    async def hang(_context: aio.ServicerContext[Any, Any]) -> str:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    with structlog.testing.capture_logs() as logs:
        pending = asyncio.create_task(peer.call(hang, deadline_sec=300))
        async with asyncio.timeout(60):
            await arrived.wait()
            pending.cancel()
            await stopped.wait()
        with pytest.raises(asyncio.CancelledError):
            await pending
    assert "grpc_call_failed" not in {entry["event"] for entry in logs}


async def test_a_server_that_is_away_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    async with connect(f"unix:{tmp_path}/no-server") as channel:
        started = time.monotonic()
        with pytest.raises(ApiError) as caught:
            await call(auth_pb2_grpc.AuthServiceStub(channel).GetJwks, auth_pb2.GetJwksRequest(), deadline_sec=0.2)
        assert 0.1 < time.monotonic() - started < 60
    assert (caught.value.code, caught.value.details) == ("SERVICE_UNAVAILABLE", {"dependency": "auth"})


async def test_a_server_that_comes_up_in_time_still_answers(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/rpc"
    servicer = Servicer()
    async with connect(address) as channel:
        pending = asyncio.create_task(
            call(auth_pb2_grpc.AuthServiceStub(channel).GetJwks, auth_pb2.GetJwksRequest(), deadline_sec=20)
        )
        with pytest.raises(ApiError):
            await probe(channel)
        server = GrpcServer(
            "kit", address, [lambda each: auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, each)]
        )
        await server.start()
        assert (await pending).jwks_json == "{}"
        await server.stop(0)


async def test_passes_request_id_and_trace_on(peer: Peer) -> None:
    def tell(_context: aio.ServicerContext[Any, Any]) -> str:
        return " ".join((current("request_id"), current("traceparent"), current("service")))

    with structlog.contextvars.bound_contextvars(request_id="req-1", traceparent=TRACE):
        request_id, trace, service = (await peer.call(tell)).split(" ")
    assert request_id == "req-1"
    assert trace[:36] == TRACE[:36]
    assert trace != TRACE
    assert service == "kit"


async def test_a_call_without_a_context_gets_one(peer: Peer) -> None:
    def tell(_context: aio.ServicerContext[Any, Any]) -> str:
        return f"{current('request_id')} {current('traceparent')}"

    request_id, trace = (await peer.call(tell)).split(" ")
    assert len(request_id) == 36
    assert len(trace) == 55


async def test_concurrent_calls_keep_their_contexts(peer: Peer) -> None:
    all_there = asyncio.Barrier(5)

    async def tell(_context: aio.ServicerContext[Any, Any]) -> str:
        await all_there.wait()
        return current("request_id")

    async def one(name: str) -> str:
        with structlog.contextvars.bound_contextvars(request_id=name):
            return await peer.call(tell)

    names = [f"req-{number}" for number in range(5)]
    assert await asyncio.gather(*map(one, names)) == names


async def test_probe_returns_the_reported_health(peer: Peer) -> None:
    assert await probe(peer.channel, "database") is None
    await peer.server.report("database", healthy=False)
    await peer.server.report("", healthy=True)
    assert await probe(peer.channel, "database") is False
    assert await probe(peer.channel) is True
    await peer.server.report("database", healthy=True)
    assert await probe(peer.channel, "database") is True


async def test_new_server_is_not_healthy_before_its_first_check(peer: Peer) -> None:
    assert await probe(peer.channel) is False


async def test_probe_fails_at_once_without_a_server(tmp_path: Path) -> None:
    async with connect(f"unix:{tmp_path}/no-server") as channel, asyncio.timeout(60):
        with pytest.raises(ApiError) as caught:
            await probe(channel)
    assert caught.value.code == "SERVICE_UNAVAILABLE"


async def test_stop_lets_running_calls_finish(peer: Peer) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_context: aio.ServicerContext[Any, Any]) -> str:
        arrived.set()
        await go_on.wait()
        return "done"

    pending = asyncio.create_task(peer.call(slow))
    await arrived.wait()
    stop = asyncio.create_task(peer.server.stop(10))
    go_on.set()
    assert await pending == "done"
    await stop


async def test_a_server_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        await GrpcServer("kit", f"unix:{tmp_path}/rpc").stop(0)


async def test_takes_a_free_port_and_refuses_a_taken_one() -> None:
    server = GrpcServer("kit", "127.0.0.1:0")
    await server.start()
    assert server.port > 0
    with pytest.raises(SettingsError, match=r"^gRPC can't listen on 127\.0\.0\.1:.*MARQUEE_GRPC_BIND"):
        await GrpcServer("kit", f"127.0.0.1:{server.port}").start()
    await server.stop(0)


def test_timestamp_keeps_the_time() -> None:
    moment = datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=UTC)
    assert timestamp(moment).ToDatetime(UTC) == moment
