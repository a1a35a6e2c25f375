"""Settings that don't fit together stop the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
        ({"stream_public_url": "media.example.org"}, "MARQUEE_STREAM_PUBLIC_URL"),
        ({"stream_public_url": "https://media.example.org/?x"}, "MARQUEE_STREAM_PUBLIC_URL"),
    ],
)
def test_what_can_not_work_is_named(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load(StreamSettings, **GOOD | changed)


def test_a_public_address_may_end_with_a_slash() -> None:
    settings = load(StreamSettings, **GOOD | {"stream_public_url": "https://media.example.org/"})
    assert settings.stream_public_url == "https://media.example.org"
