"""The registry of events: which types exist, what their body is, who publishes them and who must receive them.

The contracts in `proto/marquee/events/v1` are the source: a message with the option `event` is the body of one type.
`docs/reference/events.md` is generated from the same contracts.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.message import Message

import marquee.events.v1
from marquee.events.v1 import options_pb2


class UnregisteredEventError(LookupError):
    """A type, or a message, that is not registered as an event."""


class WrongMessageError(TypeError):
    """A message that is not the body of this type of event."""


class WrongProducerError(ValueError):
    """A service that is not registered as a producer of this type of event."""


@dataclass(frozen=True, slots=True)
class EventType:
    """A registered type of event."""

    name: str
    """`<noun>.<past participle>`; also the routing key."""
    message: type[Message]
    producers: frozenset[str]
    required_consumers: frozenset[str]
    """Services that must not miss it; empty where it may be published without a queue that receives it."""


class EventRegistry:
    """Types of events by name and by message.

    Args:
        types: the types. Names and messages must be unique.
    """

    def __init__(self, types: Iterable[EventType]) -> None:
        self._by_name: dict[str, EventType] = {}
        self._by_message: dict[str, EventType] = {}
        for each in types:
            message = each.message.DESCRIPTOR.full_name
            if each.name in self._by_name or message in self._by_message:
                raise ValueError(f"{each.name} ({message}) is registered twice")
            self._by_name[each.name] = self._by_message[message] = each

    def __iter__(self) -> Iterator[EventType]:
        """Iterate over the types, by name."""
        return iter(sorted(self._by_name.values(), key=lambda each: each.name))

    def get(self, name: str) -> EventType:
        """Return the type of this name.

        Raises:
            UnregisteredEventError: there is none.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnregisteredEventError(f"no event type {name!r} is registered in proto/marquee/events/v1") from None

    def of_message(self, message: Message | type[Message]) -> EventType:
        """Return the type whose body is this message.

        Raises:
            UnregisteredEventError: there is none.
        """
        name = message.DESCRIPTOR.full_name
        try:
            return self._by_message[name]
        except KeyError:
            raise UnregisteredEventError(f"{name} has no option `event`, so it is not the body of an event") from None

    def required(self) -> frozenset[str]:
        """Return the names of the types that a queue must receive."""
        return frozenset(each.name for each in self if each.required_consumers)


def _registered_types() -> Iterator[EventType]:
    for module_info in pkgutil.iter_modules(marquee.events.v1.__path__, "marquee.events.v1."):
        if not module_info.name.endswith("_pb2"):
            continue
        module = importlib.import_module(module_info.name)
        for name, descriptor in module.DESCRIPTOR.message_types_by_name.items():
            if descriptor.GetOptions().HasExtension(options_pb2.event):
                options = descriptor.GetOptions().Extensions[options_pb2.event]
                yield EventType(
                    options.type,
                    getattr(module, name),
                    frozenset(options.producers),
                    frozenset(options.required_consumers),
                )


EVENTS = EventRegistry(_registered_types())
"""All events of the platform."""


def type_of(message: type[Message]) -> str:
    """Return the name of the event type whose body is this message.

    Raises:
        UnregisteredEventError: there is none.
    """
    return EVENTS.of_message(message).name
