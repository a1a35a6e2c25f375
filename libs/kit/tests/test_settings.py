"""Settings say what is wrong with them in one sentence, and keep secrets."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest
from pika import URLParameters
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings
from redis.asyncio.connection import parse_url
from sqlalchemy.engine import make_url

from kit import settings
from kit.settings import (
    BrokerSettings,
    DatabaseSettings,
    MediaSettings,
    ServiceSettings,
    SettingsError,
    add_password,
    load,
    names,
    refuse_typos,
    stop_start,
)


class Whole(ServiceSettings, DatabaseSettings, BrokerSettings, MediaSettings):
    """A service that needs everything."""

    pin: SecretStr | None = Field(None, min_length=4)


GOOD = {
    "MARQUEE_DATABASE_URL": "postgresql+psycopg://marquee:hunter2@db/auth",
    "MARQUEE_BROKER_URL": "amqp://marquee:hunter2@mq:5672/",
    "MARQUEE_MEDIA_URL": "file:///srv/media%20files",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in names([Whole]):
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_every_part_reads_the_prefixed_variables(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MARQUEE_HTTP_PORT", "0")
    environment.setenv("DATABASE_URL", "sqlite+aiosqlite:///another-programs.db")
    settings = load(Whole)
    assert settings.http_port == 0
    assert settings.database_url == GOOD["MARQUEE_DATABASE_URL"]
    assert settings.broker_url == GOOD["MARQUEE_BROKER_URL"]
    assert settings.media_root == Path("/srv/media files")


@pytest.mark.parametrize("part", [DatabaseSettings, BrokerSettings, MediaSettings])
def test_prefix_holds_for_any_order_of_bases(part: type[BaseSettings]) -> None:
    for bases in ((ServiceSettings, part), (part, ServiceSettings)):
        both: Any = type("Both", bases, {})
        config = both.model_config
        assert {name: config[name] for name in ("env_prefix", "extra", "frozen", "hide_input_in_errors")} == {
            "env_prefix": "MARQUEE_",
            "extra": "ignore",
            "frozen": True,
            "hide_input_in_errors": True,
        }


def test_an_override_wins_over_the_environment() -> None:
    assert load(Whole, broker_url="local:").broker_url == "local:"


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_value_is_named_and_described(name: str, environment: pytest.MonkeyPatch) -> None:
    environment.delenv(name)
    with pytest.raises(SettingsError, match=rf"^{name} is not set\. .+\.$"):
        load(Whole)


@pytest.mark.parametrize("name", GOOD)
def test_an_empty_value_is_a_missing_one(name: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(name, "")
    with pytest.raises(SettingsError, match=rf"^{name} is not set\."):
        load(Whole)


def test_an_empty_value_means_the_default_where_there_is_one(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MARQUEE_HTTP_PORT", "")
    environment.setenv("MARQUEE_PIN", "")
    settings = load(Whole)
    assert settings.http_port == 8080
    assert settings.pin is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MARQUEE_HTTP_PORT", "http"),
        ("MARQUEE_HTTP_PORT", "65536"),
        ("MARQUEE_HTTP_PORT", "-1"),
        ("MARQUEE_DRAIN_SEC", "-0.1"),
        ("MARQUEE_LOG_LEVEL", "loud"),
        ("MARQUEE_DATABASE_URL", "mysql://root@db/auth"),
        ("MARQUEE_DATABASE_URL", "sqlite:///plain.db"),
        ("MARQUEE_BROKER_URL", "redis://mq"),
        ("MARQUEE_MEDIA_URL", "/srv/media"),
        ("MARQUEE_MEDIA_URL", "file://nas/media"),
        ("MARQUEE_MEDIA_URL", "s3://bucket"),
    ],
)
def test_a_bad_value_is_named_in_one_sentence(name: str, value: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"^{name} can't be used: [^\n]+\.$"):
        load(Whole)


@pytest.mark.parametrize(
    ("name", "value"),
    [("MARQUEE_PIN", "x7q"), ("MARQUEE_DATABASE_URL", "postgres://marquee:x7q@db/auth")],
)
def test_refused_secret_is_not_in_the_message(name: str, value: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(Whole)
    assert "x7q" not in "".join(traceback.format_exception(caught.value))


def test_repr_hides_secrets(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MARQUEE_PIN", "abc-123-xyz")
    assert "abc-123-xyz" not in repr(load(Whole))


def test_settings_can_not_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(Whole).http_port = 1


def test_a_misspelt_name_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"^MARQUEE_HTTP_PROT is not a setting; did you mean MARQUEE_HTTP_PORT"):
        refuse_typos(names([Whole]), {**GOOD, "MARQUEE_HTTP_PROT": "80"})


def test_unknown_name_is_only_reported() -> None:
    environment = {**GOOD, "MARQUEE_WEATHER": "fine", "HTTP_PROT": "80"}
    assert refuse_typos(names([Whole]), environment) == ["MARQUEE_WEATHER"]


def test_stop_start_prints_the_message_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        stop_start(SettingsError("MARQUEE_BROKER_URL is not set."))
    assert caught.value.code == 2
    assert capsys.readouterr().err == "marquee: MARQUEE_BROKER_URL is not set.\n"


ANY_PASSWORD = "p@ss:/?#[]%&word"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://auth@postgres:5432/auth",
        "postgresql+psycopg://auth:plain@postgres:5432/auth",
        f"postgresql+psycopg://auth:{ANY_PASSWORD}@postgres:5432/auth",
    ],
)
def test_password_of_any_characters_reaches_the_database(url: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MARQUEE_DATABASE_URL", url)
    environment.setenv("MARQUEE_DATABASE_PASSWORD", ANY_PASSWORD)
    parsed = make_url(load(Whole).database_url)
    assert (parsed.username, parsed.password, parsed.host, parsed.port) == ("auth", ANY_PASSWORD, "postgres", 5432)
    assert parsed.database == "auth"


def test_password_of_any_characters_reaches_broker_and_redis(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MARQUEE_BROKER_PASSWORD", ANY_PASSWORD)
    parameters = URLParameters(load(Whole).broker_url)
    assert parameters.credentials.password == ANY_PASSWORD
    assert (parameters.host, parameters.virtual_host) == ("mq", "/")
    options = parse_url(add_password("redis://redis:6379/0", ANY_PASSWORD))
    assert options == {"password": ANY_PASSWORD, "host": "redis", "port": 6379, "db": 0}


def test_secret_is_read_from_a_file_unless_the_environment_has_it(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setattr(settings, "SECRETS", tmp_path)
    (tmp_path / "marquee_database_password").write_text(f"{ANY_PASSWORD}\n")
    assert make_url(load(Whole).database_url).password == ANY_PASSWORD
    environment.setenv("MARQUEE_DATABASE_PASSWORD", "nearer")
    assert make_url(load(Whole).database_url).password == "nearer"
