"""What an administrator did, as an event that auth writes into the audit log of the platform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from kit.events.envelope import Event
from kit.events.registry import type_of
from marquee.events.v1 import admin_pb2

ADMIN_ACTED: Final = type_of(admin_pb2.AdminActed)
MAX_ADDRESS_CHARS: Final = 64

Detail = str | int | list[str] | None


@dataclass(frozen=True, slots=True)
class Admin:
    """An administrator who acts, and from where."""

    user_id: str
    address: str = ""
    """Empty when that is not known."""


@dataclass(frozen=True, slots=True)
class AuditAction:
    """Something that an administrator did."""

    admin: Admin
    action: str
    """`<noun>.<past participle>`, at most 50 characters."""
    subject_type: str
    """Kind of what it was done to, at most 20 characters."""
    subject_id: str = ""
    """Empty when it was done to no single thing."""
    details: Mapping[str, Detail] = field(default_factory=dict)
    """More, for people. Nothing secret. About persons nothing but ids, except in actions on a `user`: auth erases the
    details of those with the account."""

    def event(self, source: str, *, event_id: str | None = None, at: datetime | None = None) -> Event:
        """Return the event that reports the action. Record it in the transaction of the action.

        Args:
            source: the service that did it.
            event_id: the event's id; a new one by default.
            at: when it was done; now by default.
        """
        moment = at or datetime.now(UTC)
        message = admin_pb2.AdminActed(
            actor_id=self.admin.user_id,
            action=self.action,
            subject_type=self.subject_type,
            subject_id=self.subject_id,
            address=self.admin.address[:MAX_ADDRESS_CHARS],
            details=json.dumps(dict(self.details), ensure_ascii=False),
        )
        message.occurred_at.FromDatetime(moment)
        event = Event.of(message, source=source, subject=self.subject_id or self.action, id=event_id)
        return replace(event, time=moment)
