"""Stand-ins for what a service talks to, for tests that are not about the talking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from fastapi import Request
from google.protobuf.message import Message

from kit.auth.tokens import Caller
from kit.bus import Bus, BusUnavailableError, DeadLetter, Handler, Subscription
from kit.bus.topics import wants
from kit.errors import ApiError, ErrorCode
from kit.events.envelope import Event
from kit.ids import new_id


class FakeBus(Bus):
    """A bus in memory: keeps what is published and hands events to the handlers when a test says so."""

    def __init__(self) -> None:
        self.published: list[Event] = []
        self.subscriptions: list[tuple[Subscription, Handler]] = []
        self.available = True
        self._news = asyncio.Event()
        self.reconnects: list[Callable[[], None]] = []

    def subscribe(self, subscription: Subscription, handler: Handler) -> None:
        """Remembers a handler."""
        self.subscriptions.append((subscription, handler))

    async def start(self) -> None:
        """Does nothing: `deliver` is called by tests."""

    async def close(self, drain_sec: float = 5) -> None:
        """Does nothing."""

    async def publish(self, events: Sequence[Event], *, required: Collection[str] = ()) -> frozenset[str]:  # noqa: ARG002 - the port's
        """Keeps the events."""
        if not self.available:
            raise BusUnavailableError("switched off by the test")
        self.published.extend(events)
        self._news.set()
        return frozenset(event.id for event in events)

    async def something_published(self) -> None:
        """Waits until events are published from now on."""
        self._news.clear()
        await self._news.wait()

    async def deliver(self, event: Event) -> None:
        """Hands an event to every handler that wants it, as a bus would, and raises what they raise."""
        wanted = [handler for subscription, handler in self.subscriptions if wants(subscription, event.type)]
        await asyncio.gather(*(handler(event) for handler in wanted))

    def is_connected(self) -> bool:
        """As the test has set it."""
        return self.available

    async def dead_letters(self, subscription: str | None = None, limit: int = 100) -> list[DeadLetter]:  # noqa: ARG002 - the port's
        """None here."""
        return []

    async def declare(self) -> None:
        """Does nothing."""

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """Remembers what a reconnect must do."""
        self.reconnects.append(callback)

    async def replay(self, subscription: str, event_ids: Sequence[str] | None = None) -> int:  # noqa: ARG002 - the port's
        """Nothing to replay here."""
        return 0

    def types(self) -> list[str]:
        """Types of what was published, in order."""
        return [event.type for event in self.published]


def event_of(type_: str, message: Message, *, source: str = "test", subject: str = "") -> Event:
    """An event as another service would send it."""
    return Event.of(type_, message, source=source, subject=subject or new_id())


class HeaderAuthenticator:
    """Believes what a test says: `X-Test-User: <id>[:<role>[:<corporation>[:<login>]]]`."""

    async def __call__(self, request: Request) -> Caller:
        """Who the header names; AUTH_INVALID_TOKEN without one."""
        caller = self.get_cached({b"x-test-user": request.headers.get("X-Test-User", "").encode()})
        if caller is None:
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        return caller

    def get_cached(self, fields: Mapping[bytes, bytes]) -> Caller | None:
        """Who the header names."""
        told = fields.get(b"x-test-user", b"").decode("latin-1").split(":")
        user, role, corporation, login = (*told, "", "", "")[:4]
        return Caller(user, role or "member", "active", corporation, login) if user else None


def as_user(user_id: str, role: str = "member", corporation_id: str = "") -> dict[str, str]:
    """The headers of a request by somebody, for `HeaderAuthenticator`."""
    return {"X-Test-User": f"{user_id}:{role}:{corporation_id}"}
