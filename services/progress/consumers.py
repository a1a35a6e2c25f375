"""What progress hears from the bus: translates, decides nothing."""

from __future__ import annotations

from datetime import UTC

from kit.bus import Bus, Subscription
from kit.db import Database
from kit.events import Event, MalformedEvent
from kit.ids import is_id
from kit.telemetry import service_context
from marquee.events.v1 import stream_pb2
from services.progress.service import Views

VIEWS = Subscription("progress.views", ("stream.started",), concurrency=4)


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

    bus.subscribe(VIEWS, on_started)
