from __future__ import annotations

import pytest

from kit.db.database import Database
from kit.events.envelope import MalformedEventError
from kit.testing.fakes import FakeBus, event_of
from marquee.events.v1 import stream_pb2
from services.progress.consumers import subscribe
from services.progress.tests.fakes import a_view_log


async def test_event_without_ids_is_malformed(database: Database) -> None:
    bus = FakeBus()
    subscribe(bus, database, a_view_log(database))
    with pytest.raises(MalformedEventError):
        await bus.deliver(event_of("stream.started", stream_pb2.StreamStarted(video_id="../x")))
