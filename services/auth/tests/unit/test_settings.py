"""Settings of auth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kit.settings import SettingsError
from services.auth.settings import AuthSettings
from services.auth.tests.support import settings_of

DATABASE = {"database_url": "sqlite+aiosqlite:///auth.db"}


def loaded(folder: Path, **changes: Any) -> AuthSettings:
    return settings_of(folder, DATABASE | changes)


def test_prefixed_variables_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARQUEE_REGISTRATION", "closed")
    monkeypatch.setenv("REGISTRATION", "open")
    monkeypatch.setenv("MARQUEE_REDIS_URL", "")
    settings = loaded(tmp_path)
    assert settings.registration == "closed"
    assert settings.redis_url is None


@pytest.mark.parametrize(
    "changes",
    [
        {"admin_login": ""},
        {"admin_login": "ad:min"},
        {"admin_login": "x" * 65},
        {"admin_password": "short"},
        {"admin_password": ""},
        {"admin_password": "x" * 1025},
        {"admin_password": "password123"},
        {"alert_webhook_url": "ftp://x/y"},
        {"alert_webhook_url": "https://user:secret@host/x"},
        {"alert_webhook_url": "https:///x"},
        {"registration": "maybe"},
        {"uploads": "everybody"},
        {"redis_url": "http://cache"},
        {"bcrypt_cost": 3},
        {"bcrypt_cost": 17},
        {"access_ttl_sec": 59},
        {"refresh_ttl_sec": 0},
        {"login_attempts": 0},
        {"login_attempts_per_address": 0},
        {"login_attempts_per_account": 0},
        {"reset_ttl_sec": 299},
        {"audit_retention_days": 0},
        {"alert_login_failures": 0},
    ],
)
def test_invalid_value_stops_the_start(tmp_path: Path, changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(SettingsError, match=rf"^MARQUEE_{name.upper()} can't be used: [^\n]+\.$"):
        loaded(tmp_path, **changes)


def test_pepper_is_read_from_file(tmp_path: Path) -> None:
    file = tmp_path / "pepper"
    file.write_text("  s3cret \n")
    assert loaded(tmp_path, password_pepper_file=file).pepper() == "s3cret"
    assert loaded(tmp_path, password_pepper="s3cret").pepper() == "s3cret"
    assert loaded(tmp_path).pepper() == ""
    file.write_text(" \n")
    with pytest.raises(SettingsError, match=r"^MARQUEE_PASSWORD_PEPPER_FILE can't be used: it is empty\.$"):
        loaded(tmp_path, password_pepper_file=file).pepper()
    with pytest.raises(SettingsError, match=r"^MARQUEE_PASSWORD_PEPPER_FILE can't be read"):
        loaded(tmp_path, password_pepper_file=tmp_path / "nothing").pepper()
    with pytest.raises(SettingsError, match="must not be set beside MARQUEE_PASSWORD_PEPPER"):
        loaded(tmp_path, password_pepper="x", password_pepper_file=file)


def test_refresh_ttl_is_at_least_access_ttl(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"^MARQUEE_REFRESH_TTL_SEC can't be used: must not be less than MARQUEE_ACCESS_TTL_SEC\.$"
    ):
        loaded(tmp_path, access_ttl_sec=301, refresh_ttl_sec=300)
    assert loaded(tmp_path, access_ttl_sec=300, refresh_ttl_sec=300).refresh_ttl_sec == 300


def test_secrets_are_not_printed(tmp_path: Path) -> None:
    text = repr(
        loaded(
            tmp_path,
            admin_password="hunter2hunter2",
            password_pepper="salt-and-pepper",
            alert_webhook_url="https://chat/hunter2",
        )
    )
    assert "hunter2" not in text
    assert "salt-and-pepper" not in text
