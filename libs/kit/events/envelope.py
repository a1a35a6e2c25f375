"""The envelope in which facts travel: CloudEvents 1.0 attributes around a protobuf message as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from kit.ids import new_id

M = TypeVar("M", bound=Message)

CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Immutable; safe to deliver more than once, because `id` stays the same."""

    type: str
    """What happened, `<noun>.<past participle>`; also the routing key."""
    source: str
    """The service that says so."""
    subject: str
    """Id of the thing it happened to."""
    body: bytes
    """The protobuf message as JSON, UTF-8."""
    version: int = 0
    """Row version of the subject when it happened; consumers ignore an older one. 0 where order doesn't matter."""
    id: str = field(default_factory=new_id)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    traceparent: str = ""
    """W3C trace context of the request that caused it, or empty."""
    request_id: str = ""

    @classmethod
    def of(
        cls,
        type: str,  # noqa: A002 - the attribute's name in CloudEvents
        message: Message,
        *,
        source: str,
        subject: str,
        version: int = 0,
        id: str | None = None,  # noqa: A002 - the attribute's name in CloudEvents
    ) -> Event:
        """An event of this type carrying `message`."""
        body = json_format.MessageToJson(message, preserving_proto_field_name=True, indent=None)
        return cls(
            type=type,
            source=source,
            subject=subject,
            body=body.encode(),
            version=version,
            id=id or new_id(),
        )

    def caused_by(self, cause: Event) -> Event:
        """The same event as part of the trace of what caused it."""
        return replace(self, traceparent=cause.traceparent, request_id=cause.request_id)

    def read(self, message: Callable[[], M]) -> M:
        """The body as `message`; fields this build doesn't know yet are ignored.

        Raises:
            MalformedEventError: the body isn't a `message`. Trying again can't help.
        """
        try:
            return json_format.Parse(self.body, message(), ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise MalformedEventError(f"{self.type} {self.id}: {error}") from error


class MalformedEventError(Exception):
    """An event that no consumer can ever understand: it goes to the dead letters at once."""
