"""Settings that don't fit together stop the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.origins import Object
from kit.settings import SettingsError, load
from lsv.wrapping import master_key_id
from services.stream.protection.master_keys import load_master_keys
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


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"lsv_master_key": "c2hvcnQ="}, "MARQUEE_LSV_MASTER_KEY can't be used: it must be base64 of 32 bytes"),
        ({"lsv_master_key": "%" * 44}, "MARQUEE_LSV_MASTER_KEY can't be used: it is no base64"),
        ({"lsv_previous_master_keys": "A" * 43 + ",c2hvcnQ="}, "MARQUEE_LSV_PREVIOUS_MASTER_KEYS can't be used"),
        ({"database_url": "mysql://host"}, "MARQUEE_DATABASE_URL can't be used"),
        ({"offline_license_sec": 10}, "MARQUEE_OFFLINE_LICENSE_SEC"),
        ({"offline_licenses_per_user": -1}, "MARQUEE_OFFLINE_LICENSES_PER_USER"),
        ({"offline_licenses_per_video": 0}, "MARQUEE_OFFLINE_LICENSES_PER_VIDEO"),
    ],
)
def test_bad_settings_of_protection_stop_the_start(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as stopped:
        load(StreamSettings, **GOOD | changed)
    assert "c2hvcnQ" not in str(stopped.value)


def test_master_keys_are_those_of_the_settings(tmp_path: Path) -> None:
    text, previous = "A" * 43 + "=", "AQ" + "A" * 41
    given = load(StreamSettings, **GOOD | {"lsv_master_key": text, "lsv_previous_master_keys": f"{previous}, "})
    ring = load_master_keys(given)
    assert ring is not None
    assert ring.current_id == master_key_id(bytes(32))
    assert ring.knows(master_key_id(b"\x01" + bytes(31)))
    assert load_master_keys(load(StreamSettings, **GOOD)) is None
    file = tmp_path / "lsv.key"
    with_file = load(StreamSettings, **GOOD | {"lsv_master_key_file": file})
    made = {ring.current_id for _ in range(2) if (ring := load_master_keys(with_file))}
    assert len(made) == 1
    file.write_text("c2hvcnQ=")
    with pytest.raises(SettingsError, match="MARQUEE_LSV_MASTER_KEY_FILE"):
        load_master_keys(with_file)
