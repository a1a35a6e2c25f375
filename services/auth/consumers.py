"""Consumers of auth: translate events into calls of use cases."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC
from typing import Final

from kit.audit import ADMIN_ACTED, MAX_ADDRESS_CHARS
from kit.bus import Bus, Subscription
from kit.db.database import Database, Transaction
from kit.db.event_groups import CONCURRENCY, EventGroups, Received
from kit.events.envelope import Event, MalformedEventError
from kit.ids import is_id
from marquee.events.v1 import admin_pb2
from services.auth.service import Audit, AuditRecord

AUDIT = Subscription("auth.audit", (ADMIN_ACTED,), concurrency=CONCURRENCY)
MAX_DETAILS_CHARS: Final = 10_000

_ACTION: Final = re.compile(r"[a-z_]+\.[a-z_]+")
_KIND: Final = re.compile(r"[a-z_]{1,20}")
_MAX_ACTION_CHARS: Final = 50


def subscribe(bus: Bus, database: Database, audit: Audit) -> None:
    """Register auth's consumer: each action becomes one entry, however often its event is delivered."""

    async def enter(transaction: Transaction, actions: Sequence[Received[AuditRecord]]) -> Sequence[None]:
        await audit.enter(transaction, [each.content for each in actions])
        return [None] * len(actions)

    actions = EventGroups(database, AUDIT, enter, service="auth")

    async def acted(event: Event) -> None:
        await actions.apply(event, _audit_record(event))

    bus.subscribe(AUDIT, acted)


def _audit_record(event: Event) -> AuditRecord:
    message = event.read(admin_pb2.AdminActed)
    # An event that the table can't hold would fail and be delivered again and again.
    sound = (
        is_id(event.id)
        and is_id(message.actor_id)
        and (not message.subject_id or is_id(message.subject_id))
        and len(message.action) <= _MAX_ACTION_CHARS
        and _ACTION.fullmatch(message.action)
        and _KIND.fullmatch(message.subject_type)
        and len(message.address) <= MAX_ADDRESS_CHARS
        and message.HasField("occurred_at")
        and _is_object(message.details)
    )
    if not sound:
        raise MalformedEventError(f"{event.id}: this is no action that the audit log can hold")
    return AuditRecord(
        id=event.id,
        at=message.occurred_at.ToDatetime(UTC),
        action=message.action,
        actor_id=message.actor_id,
        target_kind=message.subject_type,
        target_id=message.subject_id or None,
        address=message.address,
        details=message.details,
    )


def _is_object(text: str) -> bool:
    try:
        return len(text) <= MAX_DETAILS_CHARS and isinstance(json.loads(text), dict)
    except ValueError:
        return False
