"""An event."""

from __future__ import annotations

from kit.events.envelope import Event


def an_event(number: int = 0, type_: str = "points.granted") -> Event:
    return Event(type=type_, source="kit", subject=str(number), body=b'{"number": %d}' % number)
