"""Settings that don't fit together stop the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.origins import Object
from kit.settings import SettingsError, load
from services.stream.settings import StreamSettings

GOOD: dict[str, Any] = {
    "broker_url": "amqp://user:secret@host/",
    "media_url": "file:///media",
    "redis_url": "redis://host",
    "ticket_key_file": Path("tickets.key"),
}


def test_defaults_are_the_documented_ones() -> None:
    settings = load(StreamSettings, **GOOD)
    limits = settings.max_streams, settings.max_streams_per_user, settings.stream_queue, settings.session_idle_sec
    assert limits == (100, 3, 50, 30)


def test_in_embedded_mode_slots_are_in_memory() -> None:
    assert load(StreamSettings, **GOOD | {"broker_url": "local:", "redis_url": None}).redis_url is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"redis_url": None}, "MARQUEE_REDIS_URL can't be used: it must be set outside of embedded mode"),
        ({"redis_url": None, "broker_url": "local:", "http_workers": 2}, "MARQUEE_REDIS_URL .* MARQUEE_HTTP_WORKERS"),
        ({"redis_url": "http://host"}, "MARQUEE_REDIS_URL"),
        ({"max_streams": 0}, "MARQUEE_MAX_STREAMS"),
        ({"max_streams_per_user": 0}, "MARQUEE_MAX_STREAMS_PER_USER"),
        ({"stream_queue": -1}, "MARQUEE_STREAM_QUEUE"),
        ({"session_idle_sec": 1}, "MARQUEE_SESSION_IDLE_SEC"),
        ({"media_url": "http://films.example"}, "MARQUEE_MEDIA_URL"),
        ({"media_url": "file://host/media"}, "MARQUEE_MEDIA_URL"),
        ({"media_url": "s3://"}, "MARQUEE_MEDIA_URL"),
        ({"media_url": "s3://Bucket/prefix"}, "MARQUEE_MEDIA_URL"),
        ({"media_url": "s3://bucket/../other"}, "MARQUEE_MEDIA_URL"),
        ({"s3_public_url": "bucket.example"}, "MARQUEE_S3_PUBLIC_URL"),
        ({"s3_redirect_sec": 7 * 86400 + 1}, "MARQUEE_S3_REDIRECT_SEC"),
        ({"remote_ports": "http"}, "MARQUEE_REMOTE_PORTS"),
        ({"stream_public_url": "media.example.org"}, "MARQUEE_STREAM_PUBLIC_URL"),
        ({"stream_public_url": "https://media.example.org/?x"}, "MARQUEE_STREAM_PUBLIC_URL"),
    ],
)
def test_what_can_not_work_is_named(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load(StreamSettings, **GOOD | changed)


@pytest.mark.parametrize(
    ("media_url", "bucket"),
    [
        ("file:///media", None),
        ("s3://bucket", Object("bucket", "")),
        ("s3://bucket/", Object("bucket", "")),
        ("s3://bucket/a/b/", Object("bucket", "a/b")),
    ],
)
def test_a_media_store_is_a_folder_or_a_bucket(media_url: str, bucket: Object | None) -> None:
    assert load(StreamSettings, **GOOD | {"media_url": media_url}).media_bucket == bucket


def test_a_public_address_may_end_with_a_slash() -> None:
    settings = load(StreamSettings, **GOOD | {"stream_public_url": "https://media.example.org/"})
    assert settings.stream_public_url == "https://media.example.org"
