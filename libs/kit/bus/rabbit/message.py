"""Events as AMQP messages: the CloudEvents 1.0 AMQP binding in binary mode, and the bus's own notes beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pika import BasicProperties, DeliveryMode

from kit.bus.port import DeadLetter
from kit.events.envelope import CONTENT_TYPE, Event, MalformedEventError
from kit.ids import derived_id, new_id

_PREFIX = "cloudEvents:"
_ATTEMPTS = "attempts"
_REASON = "reason"
_DIED_AT = "died_at"
_OURS = frozenset({_ATTEMPTS, _REASON, _DIED_AT})


@dataclass(frozen=True, slots=True)
class Message:
    """A message ready to be published."""

    exchange: str
    routing_key: str
    properties: BasicProperties
    body: bytes
    mandatory: bool = True


def from_event(event: Event, exchange: str, *, mandatory: bool) -> Message:
    """Return the event as a message for this exchange, with its type as the routing key."""
    headers: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "time": event.time.astimezone(UTC).isoformat(),
        # Extensions; their names may only have lowercase letters and digits.
        "version": event.version,
        "traceparent": event.traceparent,
        "requestid": event.request_id,
    }
    properties = BasicProperties(
        content_type=CONTENT_TYPE,
        delivery_mode=DeliveryMode.Persistent.value,
        message_id=event.id,
        type=event.type,
        app_id=event.source,
        timestamp=int(event.time.timestamp()),
        # CloudEvents has no empty attributes: what is not known is left out.
        headers={_PREFIX + name: value for name, value in headers.items() if value != ""},
    )
    return Message(exchange, event.type, properties, event.body, mandatory)


def to_event(properties: BasicProperties, body: bytes) -> Event:
    """Return the event that a message carries. Attributes that this build doesn't know are ignored.

    Raises:
        MalformedEventError: it doesn't carry one.
    """
    headers = _headers(properties)
    if headers.get(f"{_PREFIX}specversion") != "1.0":
        raise MalformedEventError("not a CloudEvents 1.0 message")
    try:
        time = datetime.fromisoformat(_text(headers, "time"))
        version = int(headers.get(f"{_PREFIX}version", 0))
    except (TypeError, ValueError) as error:
        raise MalformedEventError(f"attribute time or version: {error}") from error
    if time.tzinfo is None:
        raise MalformedEventError("attribute time has no offset from UTC")
    return Event(
        type=_text(headers, "type"),
        source=_text(headers, "source"),
        subject=_text(headers, "subject", ""),
        body=body,
        version=version,
        id=_text(headers, "id"),
        time=time,
        traceparent=_text(headers, "traceparent", ""),
        request_id=_text(headers, "requestid", ""),
    )


def attempts(properties: BasicProperties) -> int:
    """Return how many attempts at handling were made so far."""
    made = _headers(properties).get(_ATTEMPTS)
    return made if isinstance(made, int) and made > 0 else 0


def retry_copy(properties: BasicProperties, body: bytes, queue: str) -> Message:
    """Return the same message after one more failed attempt, for the queue where it waits."""
    return _copy(properties, body, queue, {_ATTEMPTS: attempts(properties) + 1})


def dead_copy(properties: BasicProperties, body: bytes, queue: str, reason: str) -> Message:
    """Return the same message as a dead letter."""
    died_at = datetime.now(UTC).isoformat()
    notes = {_ATTEMPTS: attempts(properties) + 1, _REASON: reason, _DIED_AT: died_at}
    return _copy(properties, body, queue, notes)


def replay_copy(properties: BasicProperties, body: bytes, queue: str) -> Message:
    """Return a dead letter as it was before its first attempt."""
    return _copy(properties, body, queue, {})


def event_id(properties: BasicProperties, body: bytes) -> str:
    """Return the id by which an operator names the message, also one that is no event."""
    named = _headers(properties).get(f"{_PREFIX}id") or properties.message_id
    return str(named or derived_id(body.decode("latin-1")))


def to_dead_letter(subscription: str, properties: BasicProperties, body: bytes) -> DeadLetter:
    """Return a message of a dead-letter queue, also one that is no event or that the broker moved there."""
    headers = _headers(properties)
    # Not every dead letter was moved there by a bus: the broker does it at the delivery limit.
    by_broker = (headers.get("x-death") or [{}])[0]
    try:
        died_at = datetime.fromisoformat(str(headers.get(_DIED_AT)))
    except ValueError:
        died_at = by_broker.get("time") or datetime.now(UTC)
    try:
        event = to_event(properties, body)
    except MalformedEventError:
        event = Event(
            type=properties.type or "",
            source=properties.app_id or "",
            subject="",
            body=body,
            id=event_id(properties, body),
            time=died_at,
        )
    return DeadLetter(
        subscription=subscription,
        event=event,
        attempts=attempts(properties),
        reason=str(headers.get(_REASON) or by_broker.get("reason") or "unknown"),
        died_at=died_at,
    )


def _copy(properties: BasicProperties, body: bytes, queue: str, notes: Mapping[str, Any]) -> Message:
    # The broker's own notes stay behind. With `x-death` in the copy, its second expiry would look like a message going
    # in circles, which the broker ends by dropping it.
    kept = {
        name: value for name, value in _headers(properties).items() if not name.startswith("x-") and name not in _OURS
    }
    copied = BasicProperties(
        content_type=properties.content_type,
        content_encoding=properties.content_encoding,
        delivery_mode=DeliveryMode.Persistent.value,
        # A message without an id gets one here: the publisher tells returned messages by it, operators name it so.
        message_id=properties.message_id or new_id(),
        type=properties.type,
        app_id=properties.app_id,
        timestamp=properties.timestamp,
        headers={**kept, **notes},
    )
    return Message(exchange="", routing_key=queue, properties=copied, body=body)


def _headers(properties: BasicProperties) -> Mapping[str, Any]:
    """Return the headers whose names are text; a foreign message may have others, which the bus does not use."""
    return {name: value for name, value in (properties.headers or {}).items() if isinstance(name, str)}


def _text(headers: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = headers.get(_PREFIX + name, default)
    if not isinstance(value, str):
        raise MalformedEventError(f"attribute {name} is missing or no text")
    return value
