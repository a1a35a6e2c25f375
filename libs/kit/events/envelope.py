"""The envelope of an event: CloudEvents 1.0 attributes around a protobuf message as JSON."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from kit.events.registry import EVENTS, WrongMessageError, WrongProducerError
from kit.ids import new_id

M = TypeVar("M", bound=Message)

CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Immutable; safe to deliver more than once, because `id` stays the same.

    Publishers make events with `Event.of`, which checks them. The constructor is for events that come from a database
    or a broker; those may be of another release, and of a type that this one does not know.
    """

    type: str
    """What happened, `<noun>.<past participle>`; also the routing key."""
    source: str
    """The service that published it."""
    subject: str
    """Id of the thing that it happened to."""
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
        message: Message,
        *,
        source: str,
        subject: str,
        version: int = 0,
        id: str | None = None,  # noqa: A002 - the attribute's name in CloudEvents
    ) -> Event:
        """Return an event of the type that `message` is registered as.

        Raises:
            UnregisteredEventError: `message` is not the body of an event.
            WrongProducerError: `source` does not publish this type.
        """
        type_ = EVENTS.of_message(message)
        if source not in type_.producers:
            raise WrongProducerError(f"{source} is not registered as a producer of {type_.name}")
        body = json_format.MessageToJson(message, preserving_proto_field_name=True, indent=None)
        return cls(
            type=type_.name,
            source=source,
            subject=subject,
            body=body.encode(),
            version=version,
            id=id or new_id(),
        )

    def caused_by(self, cause: Event) -> Event:
        """Return the same event as part of the trace of `cause`."""
        return replace(self, traceparent=cause.traceparent, request_id=cause.request_id)

    def carries(self, message: builtins.type[Message]) -> bool:
        """Return whether this is an event of the type whose body is `message`.

        Raises:
            UnregisteredEventError: `message` is not the body of an event.
        """
        return self.type == EVENTS.of_message(message).name

    def read(self, message: builtins.type[M]) -> M:
        """Return the body as `message`; fields that this build does not know yet are ignored.

        Raises:
            UnregisteredEventError: the event's type is unknown to this build.
            WrongMessageError: the event's type has another message: a mistake of the consumer.
            MalformedEventError: the body isn't a `message`. Trying again can't help.
        """
        expected = EVENTS.get(self.type).message
        if expected is not message:
            raise WrongMessageError(f"the body of {self.type} is {expected.__name__}, not {message.__name__}")
        try:
            return json_format.Parse(self.body, message(), ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise MalformedEventError(f"{self.type} {self.id}: {error}") from error


class MalformedEventError(Exception):
    """An event that no consumer can ever understand: it goes to the dead letters at once."""
