"""Routes of dead letters, for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from kit.auth.authentication import ActingAdmin, CurrentAdmin, protected_router
from kit.bus import DeadLetter
from kit.errors import ErrorCode
from kit.web.schemas import DECIMAL, Schema, View, errors
from services.catalog.service.dead_letters import DeadLetters, letter_id

_QUEUE = r"^[a-z_]+\.[a-z_]+$"


class DeadLetterView(View):
    """An event that a subscription gave up on."""

    id: str = Field(description="The queue and the event's id, with a colon between them.")
    subscription: str = Field(description="The queue that it is returned to by a replay.")
    event_id: str
    type: str
    subject: str = Field(description="Id of what the event is about.")
    attempts: int
    reason: str = Field(description="The last error.")
    occurred_at: datetime
    died_at: datetime
    request_id: str = Field(description="Of the request that caused it, to be found in the logs; may be empty.")

    @classmethod
    def of(cls, letter: DeadLetter) -> DeadLetterView:
        """Return a dead letter as the API shows it."""
        return cls.model_validate(_fields(letter))


class DeadLetterDetailView(DeadLetterView):
    """The same with its content."""

    source: str = Field(description="The service that published it.")
    traceparent: str
    body: str = Field(description="The message, JSON unless that is what is wrong with it.")

    @classmethod
    def of(cls, letter: DeadLetter) -> DeadLetterDetailView:
        """Return a dead letter as the API shows it."""
        event = letter.event
        body = event.body.decode(errors="replace")
        more = {"source": event.source, "traceparent": event.traceparent, "body": body}
        return cls.model_validate(_fields(letter) | more)


class DeadLetterList(View):
    """The oldest dead letters."""

    items: list[DeadLetterView]


class ReplayRequest(Schema):
    """Which queue gets its dead letters back."""

    subscription: str = Field(pattern=_QUEUE, max_length=100)


class ReplayView(View):
    """How many events were handed back."""

    replayed: int


def build_router(dead_letters: DeadLetters) -> APIRouter:
    """Return the routes."""
    router = protected_router()
    unavailable = errors(ErrorCode.SERVICE_UNAVAILABLE)
    one = errors(ErrorCode.CONTENT_NOT_FOUND, ErrorCode.SERVICE_UNAVAILABLE)

    @router.get("/api/admin/dead-letters", responses=unavailable)
    async def list_dead_letters(
        admin: CurrentAdmin,  # noqa: ARG001 - refuses others
        subscription: Annotated[str | None, Query(pattern=_QUEUE, max_length=100)] = None,
        limit: Annotated[int, DECIMAL, Query(ge=1, le=1000)] = 100,
    ) -> DeadLetterList:
        """List the events that subscriptions gave up on, the oldest first, of one queue or of all."""
        letters = await dead_letters.list(subscription, limit)
        return DeadLetterList(items=[DeadLetterView.of(letter) for letter in letters])

    @router.post("/api/admin/dead-letters/replay", responses=unavailable)
    async def replay_queue(request: ReplayRequest, admin: ActingAdmin) -> ReplayView:
        """Hand all dead letters of a queue back to it, with their attempts reset."""
        return ReplayView(replayed=await dead_letters.replay_all(request.subscription, admin))

    @router.get("/api/admin/dead-letters/{letter_id}", responses=one)
    async def get_dead_letter(letter_id: str, admin: CurrentAdmin) -> DeadLetterDetailView:  # noqa: ARG001 - refuses others
        """Return one dead letter with its message."""
        return DeadLetterDetailView.of(await dead_letters.get(letter_id))

    @router.post("/api/admin/dead-letters/{letter_id}/replay", responses=one)
    async def replay_dead_letter(letter_id: str, admin: ActingAdmin) -> ReplayView:
        """Hand one dead letter back to its queue, and to no other, with its attempts reset."""
        return ReplayView(replayed=await dead_letters.replay(letter_id, admin))

    return router


def _fields(letter: DeadLetter) -> dict[str, object]:
    event = letter.event
    return {
        "id": letter_id(letter),
        "subscription": letter.subscription,
        "event_id": event.id,
        "type": event.type,
        "subject": event.subject,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "occurred_at": event.time,
        "died_at": letter.died_at,
        "request_id": event.request_id,
    }
