"""gRPC client of auth."""

from __future__ import annotations

from datetime import UTC
from typing import Protocol

from grpc import aio

from kit.rpc import call
from marquee.auth.v1 import auth_pb2
from marquee.auth.v1.auth_pb2_grpc import AuthServiceStub
from services.catalog.domain import Plan


class Plans(Protocol):
    """The plans of corporations."""

    async def get(self, corporation_id: str) -> Plan | None:
        """Return the plan of a corporation; None when there is no such corporation.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when auth does not answer.
        """


class PlansClient:
    """`Plans`, asked of auth."""

    def __init__(self, channel: aio.Channel) -> None:
        self._stub = AuthServiceStub(channel)

    async def get(self, corporation_id: str) -> Plan | None:
        """See `Plans`."""
        answer = await call(self._stub.GetCorporations, auth_pb2.GetCorporationsRequest(ids=[corporation_id]))
        for corporation in answer.corporations:
            if corporation.id == corporation_id:
                ends = corporation.HasField("plan_expires_at")
                expires_at = corporation.plan_expires_at.ToDatetime(UTC) if ends else None
                return Plan(is_paid=corporation.plan == "paid", expires_at=expires_at)
        return None
