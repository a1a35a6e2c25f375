"""What asking the store for sessions starts from, and what its answers come to."""

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
    Outcome,
    Queued,
    Scope,
    Session,
    SessionRequest,
    State,
    Unavailable,
)
from services.stream.slots.models import from_ms


class WatchTarget(NamedTuple):
    """What is watched, and the tier that its bytes come from."""

    video_id: str
    tier: str


class StreamLimitError(Exception):
    """A limit is reached; the sessions are what the viewer could stop."""

    def __init__(self, refused: LimitReached) -> None:
        super().__init__(refused.scope.value)
        self.scope: Scope = refused.scope
        self.limit = refused.limit
        self.sessions = refused.sessions


def new_viewing(caller: Caller, shown: WatchTarget, device: str, key: str = "") -> SessionRequest:
    """A request for a new session; with the key of a device, an implicit one."""
    return SessionRequest(
        session_id=new_id(),
        user_id=caller.user_id,
        video_id=shown.video_id,
        kind=Kind.IMPLICIT if key else Kind.EXPLICIT,
        device_name=device,
        device_key=key,
        source=shown.tier,
    )


def granted(outcome: Outcome) -> Active | Queued:
    """The session that a start came to. Raises StreamLimitError, or ApiError while the store can't say."""
    match outcome:
        case Active() | Queued():
            return outcome
        case LimitReached():
            metrics.REFUSED.labels(outcome.scope.value).inc()
            raise StreamLimitError(outcome)
        case Unavailable():
            metrics.REFUSED.labels("unavailable").inc()
            raise unavailable(outcome.retry_after_sec)


def unavailable(retry_after_sec: float = 2) -> ApiError:
    """SERVICE_UNAVAILABLE, and when to ask again."""
    seconds = math.ceil(retry_after_sec)
    details = {"dependency": "redis", "retry_after_sec": seconds}
    return ApiError(ErrorCode.SERVICE_UNAVAILABLE, details=details, headers={"Retry-After": str(seconds)})


def session_over(reason: EndReason) -> ApiError:
    """STREAM_SESSION_NOT_FOUND, and why."""
    return ApiError(ErrorCode.STREAM_SESSION_NOT_FOUND, details={"reason": reason.value})


def is_of(playing: LocalSession, caller: Caller) -> bool:
    """Whether a session is this caller's."""
    return playing.session.viewing.user_id == caller.user_id


def session_of(ticket: Ticket) -> Session:
    """A session as its ticket tells of it."""
    started_at = from_ms(ticket.started_ms)
    viewing = SessionRequest(
        session_id=ticket.session_id,
        user_id=ticket.caller.user_id,
        video_id=ticket.video_id,
        device_name=ticket.device_name,
        source=ticket.source,
    )
    return Session(viewing, State.ACTIVE, replica="", started_at=started_at, seen_at=started_at)
