"""Fakes of what a service talks to, for tests of something else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from fastapi import Request
from google.protobuf.message import Message

from kit.auth.tokens import Caller
from kit.bus import Bus, BusUnavailableError, DeadLetter, Handler, Subscription
from kit.bus.topics import any_matches
from kit.errors import ApiError, ErrorCode
from kit.events.envelope import Event
from kit.events.registry import EVENTS
from kit.ids import new_id


class FakeBus(Bus):
    """A bus in memory: keeps what is published, and delivers events when a test calls `deliver`."""

    def __init__(self) -> None:
        self.published: list[Event] = []
        self.subscriptions: list[tuple[Subscription, Handler]] = []
        self.available = True
        self._news = asyncio.Event()
        self.reconnects: list[Callable[[], None]] = []

    def subscribe(self, subscription: Subscription, handler: Handler) -> None:
        """Keep a handler."""
        self.subscriptions.append((subscription, handler))

    async def start(self) -> None:
        """Do nothing: tests call `deliver`."""

    async def close(self, drain_sec: float = 5) -> None:
        """Do nothing."""

    async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:  # noqa: ARG002 - the port's
        """Keep the events."""
        if not self.available:
            raise BusUnavailableError("switched off by the test")
        self.published.extend(events)
        self._news.set()
        return frozenset(event.id for event in events)

    async def something_published(self) -> None:
        """Wait until more events are published."""
        self._news.clear()
        await self._news.wait()

    async def deliver(self, event: Event) -> None:
        """Call every handler that subscribed to the event, as a bus would; raise what they raise."""
        wanted = [handler for each, handler in self.subscriptions if any_matches(each.types, event.type)]
        await asyncio.gather(*(handler(event) for handler in wanted))

    def is_connected(self) -> bool:
        """Return what the test has set."""
        return self.available

    async def dead_letters(self, subscription: str | None = None, limit: int = 100) -> list[DeadLetter]:  # noqa: ARG002 - the port's
        """Return none."""
        return []

    async def declare(self) -> None:
        """Do nothing."""

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Keep what a reconnect must do."""
        self.reconnects.append(callback)

    async def replay(self, subscription: str, event_ids: Sequence[str] | None = None) -> int:  # noqa: ARG002 - the port's
        """Return 0: there is nothing to replay."""
        return 0

    def types(self) -> list[str]:
        """Return the types of what was published, in order."""
        return [event.type for event in self.published]


def event_of(type_: str, message: Message, *, source: str = "test", subject: str = "") -> Event:
    """Return an event as another service would send it; a type that `message` is not registered as is an error."""
    event = Event.of(message, source=min(EVENTS.get(type_).producers), subject=subject or new_id())
    assert event.type == type_, f"{type_} has another message"  # noqa: S101 - for tests only
    return replace(event, source=source)


class HeaderAuthenticator:
    """Trusts a header that a test sends: `X-Test-User: <id>[:<role>[:<corporation>[:<login>]]]`."""

    async def __call__(self, request: Request) -> Caller:
        """Who the header names; AUTH_INVALID_TOKEN without one."""
        caller = self.get_cached({b"x-test-user": request.headers.get("X-Test-User", "").encode()})
        if caller is None:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        return caller

    def get_cached(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Who the header names."""
        values = fields.get(b"x-test-user", b"").decode("latin-1").split(":")
        user, role, corporation, login = (*values, "", "", "")[:4]
        return Caller(user, role or "member", "active", corporation, login) if user else None


def as_user(user_id: str, role: str = "member", corporation_id: str = "") -> dict[str, str]:
    """Return the headers of a request by this user, for `HeaderAuthenticator`."""
    return {"X-Test-User": f"{user_id}:{role}:{corporation_id}"}
