"""Consumers of progress: translate events into calls of use cases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Final

from kit.bus import Bus, Subscription
from kit.db.database import Database, Transaction
from kit.db.event_groups import CONCURRENCY, EventGroups, Received
from kit.events.envelope import Event, MalformedEventError
from kit.events.registry import type_of
from kit.ids import is_id
from marquee.events.v1 import stream_pb2, user_pb2, video_pb2
from services.progress.domain import Began, Ended, PlaySession
from services.progress.service import Change, ViewLog, erase_viewers, forget_videos

NAME: Final = "progress"

VIEWS = Subscription(
    "progress.views",
    (type_of(stream_pb2.StreamStarted), type_of(stream_pb2.StreamStopped)),
    concurrency=CONCURRENCY,
)
ACCOUNTS = Subscription("progress.accounts", (type_of(user_pb2.UserDeleted),), concurrency=CONCURRENCY)
VIDEOS = Subscription("progress.videos", (type_of(video_pb2.VideoPurged),), concurrency=CONCURRENCY)


def subscribe(bus: Bus, database: Database, view_log: ViewLog) -> None:
    """Register progress's consumers."""

    async def record(transaction: Transaction, views: Sequence[Received[Began | Ended]]) -> Sequence[None]:
        await view_log.record(transaction, [Change(each.content, each.event) for each in views])
        return [None] * len(views)

    async def erase(transaction: Transaction, accounts: Sequence[Received[str]]) -> Sequence[None]:
        await erase_viewers(transaction, [each.content for each in accounts])
        return [None] * len(accounts)

    async def forget(transaction: Transaction, videos: Sequence[Received[str]]) -> Sequence[None]:
        await forget_videos(transaction, [each.content for each in videos])
        return [None] * len(videos)

    views = EventGroups(database, VIEWS, record, service=NAME)
    accounts = EventGroups(database, ACCOUNTS, erase, service=NAME)
    videos = EventGroups(database, VIDEOS, forget, service=NAME)

    async def on_view(event: Event) -> None:
        await views.apply(event, _view(event))

    async def on_account(event: Event) -> None:
        await accounts.apply(event, _id(event, event.read(user_pb2.UserDeleted).user_id))

    async def on_video(event: Event) -> None:
        await videos.apply(event, _id(event, event.read(video_pb2.VideoPurged).video_id))

    bus.subscribe(VIEWS, on_view)
    bus.subscribe(ACCOUNTS, on_account)
    bus.subscribe(VIDEOS, on_video)


def _view(event: Event) -> Began | Ended:
    if event.carries(stream_pb2.StreamStarted):
        began = event.read(stream_pb2.StreamStarted)
        return Began(_session(event, began), began.timestamp.ToDatetime(UTC))
    ended = event.read(stream_pb2.StreamStopped)
    moment, seconds = ended.timestamp.ToDatetime(UTC), ended.duration_seconds
    return Ended(_session(event, ended), moment, seconds, ended.bytes_transferred, ended.reason)


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
