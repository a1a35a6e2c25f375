"""The registry of events: what is not registered can be neither published nor subscribed to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from kit.bus import Subscription
from kit.db.database import Database
from kit.events import outbox
from kit.events.envelope import Event
from kit.events.registry import (
    EVENTS,
    EventRegistry,
    EventType,
    UnregisteredEventError,
    WrongMessageError,
    WrongProducerError,
    type_of,
)
from marquee.events.v1 import options_pb2, stream_pb2, user_pb2, video_pb2


def test_every_message_of_the_contracts_is_one_event_or_a_part_of_one() -> None:
    modules = [each.message.DESCRIPTOR.file for each in EVENTS]
    messages = [message for file in modules for message in file.message_types_by_name.values()]
    parts = {field.message_type.full_name for message in messages for field in message.fields if field.message_type}
    events = {each.message.DESCRIPTOR.full_name for each in EVENTS}
    assert events == {message.full_name for message in messages} - parts
    assert type_of(video_pb2.VideoUploaded) == "video.uploaded"


def test_every_event_has_a_topic_and_a_producer() -> None:
    for each in EVENTS:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", each.name)
        assert each.producers


def test_required_types_are_those_with_a_required_consumer() -> None:
    assert EVENTS.required() == {
        "admin.acted",
        "job.import_artwork_queued",
        "job.import_facts_queued",
        "job.protect_queued",
        "job.reprocess_queued",
        "job.upload_artwork_queued",
        "job.upload_facts_queued",
        "media.failed",
        "media.job_changed",
        "media.posters_ready",
        "media.probed",
        "media.protected_ready",
        "media.storyboard_ready",
        "media.subtitles_extracted",
        "media.thumbnail_ready",
        "stream.started",
        "user.deleted",
        "video.process_requested",
        "video.uploaded",
    }


def test_refuses_two_events_of_one_name_or_message() -> None:
    one = EventType("a.b", user_pb2.UserDeleted, frozenset({"auth"}), frozenset())
    for other in (
        EventType("a.b", user_pb2.UserApproved, frozenset({"auth"}), frozenset()),
        EventType("c.d", user_pb2.UserDeleted, frozenset({"auth"}), frozenset()),
    ):
        with pytest.raises(ValueError, match="twice"):
            EventRegistry([one, other])


@pytest.mark.parametrize("message", [StringValue(value="x"), options_pb2.EventOptions(type="video.new")])
def test_a_message_without_the_option_is_no_event(message: StringValue | options_pb2.EventOptions) -> None:
    with pytest.raises(UnregisteredEventError, match="option `event`"):
        Event.of(message, source="catalog", subject="1")
    with pytest.raises(UnregisteredEventError):
        type_of(type(message))


def test_refuses_an_event_from_a_service_that_does_not_produce_it() -> None:
    with pytest.raises(WrongProducerError, match="progress"):
        Event.of(video_pb2.VideoReady(), source="progress", subject="1")


def test_refuses_to_read_an_event_as_another_message() -> None:
    event = Event.of(stream_pb2.StreamStarted(), source="stream", subject="1")
    with pytest.raises(WrongMessageError, match="StreamStarted, not StreamStopped"):
        event.read(stream_pb2.StreamStopped)
    assert event.carries(stream_pb2.StreamStarted)
    assert not event.carries(stream_pb2.StreamStopped)
    with pytest.raises(UnregisteredEventError):
        event.carries(StringValue)


def test_an_event_of_a_newer_release_carries_no_known_message() -> None:
    event = Event(type="video.dreamt", source="catalog", subject="1", body=b"{}")
    assert not event.carries(video_pb2.VideoReady)
    with pytest.raises(UnregisteredEventError, match="dreamt"):
        event.read(video_pb2.VideoReady)


@pytest.mark.parametrize("pattern", ["video.uploded", "vidoe.*", "video.*.late", "", "*"])
def test_refuses_a_subscription_that_covers_no_event(pattern: str) -> None:
    with pytest.raises(UnregisteredEventError, match=r"catalog\.some"):
        Subscription("catalog.some", ("video.ready", pattern))


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[Database]:
    database = Database(sqlite_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(outbox.metadata.create_all)
    yield database
    await database.close()


async def test_refuses_to_record_an_event_that_is_not_registered(database: Database) -> None:
    with pytest.raises(UnregisteredEventError, match="uploded"):
        async with database.write() as transaction:
            await transaction.record(Event(type="video.uploded", source="catalog", subject="1", body=b"{}"))
