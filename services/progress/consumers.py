"""What progress hears from the bus: translates, decides nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from kit.bus import Bus, Subscription
from kit.db import Database
from kit.events import Event, MalformedEvent
from kit.ids import is_id
from kit.telemetry import service_context
from marquee.events.v1 import stream_pb2, user_pb2
from services.progress.service import Views, forget_viewer

VIEWS = Subscription("progress.views", ("stream.started",), concurrency=4)
ACCOUNTS = Subscription("progress.accounts", ("user.deleted",), concurrency=4)
LAST_REPORTS = timedelta(seconds=10)
"""How long after a deletion a replica may still believe the account's tokens; it learns within five seconds."""


def subscribe(bus: Bus, database: Database, views: Views) -> None:
    """Registers progress's consumers."""

    async def on_started(event: Event) -> None:
        started = event.read(stream_pb2.StreamStarted)
        if not is_id(started.video_id):
            raise MalformedEvent(f"{event.id}: {started.video_id!r} is no video")
        with service_context("progress"):
            async with database.write() as transaction:
                if await transaction.first_delivery(VIEWS.name, event):
                    await views.count(transaction, started.video_id, started.timestamp.ToDatetime(UTC))

    async def on_deleted(event: Event) -> None:
        user_id = event.read(user_pb2.UserDeleted).user_id
        if not is_id(user_id):
            raise MalformedEvent(f"{event.id}: {user_id!r} is no account")
        # A player that reports once more would make a record that nobody erases any more.
        await asyncio.sleep(max(0.0, (event.time + LAST_REPORTS - datetime.now(UTC)).total_seconds()))
        with service_context("progress"):
            async with database.write() as transaction:
                if await transaction.first_delivery(ACCOUNTS.name, event):
                    await forget_viewer(transaction, user_id)

    bus.subscribe(VIEWS, on_started)
    bus.subscribe(ACCOUNTS, on_deleted)
