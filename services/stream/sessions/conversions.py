"""Translate between callers and tickets, and requests and results of the slot store."""

from __future__ import annotations

import math
from typing import NamedTuple

from kit.auth.tokens import Caller
from kit.errors import ApiError, ErrorCode
from kit.ids import new_id
from services.stream.sessions import metrics
from services.stream.sessions.local_session import LocalSession
from services.stream.sessions.tickets import Ticket
from services.stream.slots import (
    Active,
    EndReason,
    Kind,
    LimitReached,
    Queued,
    Scope,
    Session,
    SessionRequest,
    StartResult,
    State,
    Unavailable,
)
from services.stream.slots.models import from_ms


class WatchTarget(NamedTuple):
    """The video to watch, and the tier that its bytes come from."""

    video_id: str
    tier: str


class StreamLimitError(Exception):
    """A limit is reached; `sessions` are those that the viewer could stop."""

    def __init__(self, result: LimitReached) -> None:
        super().__init__(result.scope.value)
        self.scope: Scope = result.scope
        self.limit = result.limit
        self.sessions = result.sessions


def new_request(caller: Caller, target: WatchTarget, device: str, key: str = "") -> SessionRequest:
    """Return a request for a new session; with the key of a device, an implicit one."""
    return SessionRequest(
        session_id=new_id(),
        user_id=caller.user_id,
        video_id=target.video_id,
        kind=Kind.IMPLICIT if key else Kind.EXPLICIT,
        device_name=device,
        device_key=key,
        source=target.tier,
    )


def require_granted(result: StartResult) -> Active | Queued:
    """Return the started session; raise StreamLimitError, or ApiError while the store is unavailable."""
    match result:
        case Active() | Queued():
            return result
        case LimitReached():
            metrics.REFUSED.labels(result.scope.value).inc()
            raise StreamLimitError(result)
        case Unavailable():
            metrics.REFUSED.labels("unavailable").inc()
            raise service_unavailable_error(result.retry_after_sec)


def service_unavailable_error(retry_after_sec: float = 2) -> ApiError:
    """Return SERVICE_UNAVAILABLE, with the seconds after which to ask again."""
    seconds = math.ceil(retry_after_sec)
    return ApiError(
        ErrorCode.SERVICE_UNAVAILABLE,
        details={"dependency": "redis", "retry_after_sec": seconds},
        headers={"Retry-After": str(seconds)},
    )


def session_ended_error(reason: EndReason) -> ApiError:
    """Return STREAM_SESSION_NOT_FOUND, with the reason."""
    return ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND, details={"reason": reason.value})


def belongs_to(local_session: LocalSession, caller: Caller) -> bool:
    """Return whether a session is this caller's."""
    return local_session.session.request.user_id == caller.user_id


def session_from_ticket(ticket: Ticket) -> Session:
    """Return a session as its ticket describes it."""
    started_at = from_ms(ticket.started_ms)
    request = SessionRequest(
        session_id=ticket.session_id,
        user_id=ticket.caller.user_id,
        video_id=ticket.video_id,
        device_name=ticket.device_name,
        source=ticket.source,
    )
    return Session(request, State.ACTIVE, replica="", started_at=started_at, seen_at=started_at)
