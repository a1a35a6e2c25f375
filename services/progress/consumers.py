"""Consumers of progress: translate events into calls of use cases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC

from kit.bus import Bus, Handler, Subscription
from kit.db.database import Database, Transaction
from kit.db.groups import GroupWriter
from kit.events.envelope import Event, MalformedEventError
from kit.events.registry import type_of
from kit.ids import is_id
from kit.telemetry import service_context
from marquee.events.v1 import stream_pb2, user_pb2, video_pb2
from services.progress.domain import Began, Ended, PlaySession
from services.progress.service import Change, ViewLog, erase_viewer, forget_video

VIEWS = Subscription(
    "progress.views", (type_of(stream_pb2.StreamStarted), type_of(stream_pb2.StreamStopped)), concurrency=64
)
"""As many events as one transaction may hold."""
ACCOUNTS = Subscription("progress.accounts", (type_of(user_pb2.UserDeleted),), concurrency=4)
VIDEOS = Subscription("progress.videos", (type_of(video_pb2.VideoPurged),), concurrency=4)

Effect = Callable[[Transaction, Event], Awaitable[None]]


def subscribe(bus: Bus, database: Database, view_log: ViewLog) -> None:
    """Register progress's consumers."""

    async def record(transaction: Transaction, changes: Sequence[Change]) -> Sequence[None]:
        new = {event.id for event in await transaction.first_deliveries(VIEWS.name, [each.cause for each in changes])}
        # A repeated event may be in one group with itself.
        first = {each.cause.id: each for each in changes if each.cause.id in new}
        await view_log.record(transaction, list(first.values()))
        return [None] * len(changes)

    groups = GroupWriter(database, record, service="progress")

    async def view(event: Event) -> None:
        await groups.write(_change(event))

    async def account_deleted(transaction: Transaction, event: Event) -> None:
        await erase_viewer(transaction, _id(event, event.read(user_pb2.UserDeleted).user_id))

    async def video_purged(transaction: Transaction, event: Event) -> None:
        await forget_video(transaction, _id(event, event.read(video_pb2.VideoPurged).video_id))

    bus.subscribe(VIEWS, view)
    bus.subscribe(ACCOUNTS, _once(database, ACCOUNTS, account_deleted))
    bus.subscribe(VIDEOS, _once(database, VIDEOS, video_purged))


def _once(database: Database, subscription: Subscription, effect: Effect) -> Handler:
    """Return a handler that applies an effect in one transaction with the inbox: repeated events change nothing."""

    async def handle(event: Event) -> None:
        with service_context("progress"):
            async with database.write() as transaction:
                if await transaction.first_delivery(subscription.name, event):
                    await effect(transaction, event)

    return handle


def _change(event: Event) -> Change:
    if event.carries(stream_pb2.StreamStarted):
        began = event.read(stream_pb2.StreamStarted)
        return Change(Began(_session(event, began), began.timestamp.ToDatetime(UTC)), event)
    ended = event.read(stream_pb2.StreamStopped)
    moment, seconds = ended.timestamp.ToDatetime(UTC), ended.duration_seconds
    return Change(Ended(_session(event, ended), moment, seconds, ended.bytes_transferred, ended.reason), event)


def _session(event: Event, message: stream_pb2.StreamStarted | stream_pb2.StreamStopped) -> PlaySession:
    return PlaySession(
        session_id=_id(event, message.session_id),
        user_id=_id(event, message.user_id),
        video_id=_id(event, message.video_id),
        source=message.source[:20],
    )


def _id(event: Event, text: str) -> str:
    if not is_id(text):
        raise MalformedEventError(f"{event.id}: {text!r} is no id")
    return text
