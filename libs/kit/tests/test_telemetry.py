"""Logs that join up across services and keep secrets; W3C trace context."""

from __future__ import annotations

import errno
import importlib
import json
import logging
import re

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from kit.db.failures import DatabaseUnavailableError
from kit.errors import ApiError, ErrorCode, service_unavailable
from kit.telemetry import (
    accept_request_id,
    configure_logging,
    continue_trace,
    current,
    redact,
    service_context,
)

VALID = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = st.text("abcdefgh0123456789._-", min_size=5, max_size=40).map(lambda text: f"S3CR3T{text}")


@given(
    st.text()
    | st.from_regex("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True)
    | st.tuples(st.sampled_from(["0" * 32, TRACE]), st.sampled_from(["0" * 16, SPAN])).map(
        lambda ids: f"00-{ids[0]}-{ids[1]}-01"
    )
)
def test_whatever_comes_our_part_of_the_trace_is_valid(given_trace: str) -> None:
    ours = continue_trace(given_trace)
    assert VALID.fullmatch(ours)
    if VALID.fullmatch(given_trace):
        assert ours[:36] == given_trace[:36]
        assert ours[53:] == given_trace[53:]
        assert ours[36:52] != given_trace[36:52]


@pytest.mark.parametrize(
    "broken", ["", f"00-{TRACE}-{'0' * 16}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01", "x" * 55]
)
def test_a_broken_trace_is_not_continued(broken: str) -> None:
    assert TRACE not in continue_trace(broken)
    assert continue_trace(broken).endswith("-01")


@given(st.text(max_size=100))
def test_a_request_id_is_harmless_to_log(given_id: str) -> None:
    accepted = accept_request_id(given_id)
    assert re.fullmatch("[A-Za-z0-9._-]{1,64}", accepted)
    assert accepted == given_id or not re.fullmatch("[A-Za-z0-9._-]{1,64}", given_id)


@given(
    name=st.sampled_from(
        ["ticket", "token", "access_token", "refresh_token", "id_token", "password", "key", "api_key", "client_secret"]
    ),
    secret=SECRET,
    shape=st.sampled_from(
        ["https://host/path?a=1&{}={}&b=2", "{}={}", '"GET /x?{}={} HTTP/1.1"', "call({}='{}')", 'call({}="{}")']
    ),
)
def test_no_secret_in_an_address_is_logged(name: str, secret: str, shape: str) -> None:
    for each in (name, name.upper()):
        text = shape.format(each, secret)
        entry = redact(None, "info", {"event": text, "nested": {"urls": [text]}, "pair": (text, 1), "n": 1})
        assert secret not in repr(entry)
        assert entry["n"] == 1


@given(user=st.from_regex("[a-z]{0,8}", fullmatch=True), secret=SECRET)
def test_no_password_of_a_connection_is_logged(user: str, secret: str) -> None:
    entry = redact(None, "info", {"event": f"no answer from postgresql+psycopg://{user}:{secret}@db:5432/auth"})
    assert secret not in entry["event"]
    assert "db:5432/auth" in entry["event"]


@given(st.text())
def test_other_text_is_left_alone(text: str) -> None:
    if "=" not in text and "@" not in text:
        assert redact(None, "info", {"event": text}) == {"event": text}


def test_the_service_of_the_work_in_hand_is_known_inside_only() -> None:
    with service_context("auth", request_id="r1", traceparent=""):
        assert current("service") == "auth"
        assert current("request_id") == "r1"
        assert current("traceparent") == ""
        with service_context("catalog"):
            assert (current("service"), current("request_id")) == ("catalog", "r1")
        assert current("service") == "auth"
    assert current("service") == ""


@pytest.mark.usefixtures("restored_logging")
def test_logs_are_json_lines_with_the_agreed_names(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    with service_context("stream", request_id="r1"):
        structlog.get_logger().info("session_started", user_id="u1")
        structlog.get_logger().debug("too_small_to_tell")
        logging.getLogger("some.library").warning("GET /x?ticket=%s", "abc")
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "action": "session_started",
        "level": "info",
        "service": "stream",
        "request_id": "r1",
        "user_id": "u1",
    }
    assert theirs["action"] == "GET /x?ticket=[redacted]"
    assert theirs["request_id"] == "r1"


class AwayError(Exception):
    is_expected = True


EXPECTED = [
    (service_unavailable("catalog", retry_after_sec=2), {"code": "SERVICE_UNAVAILABLE", "dependency": "catalog"}),
    (ApiError(ErrorCode.STORAGE_FULL), {"code": "STORAGE_FULL"}),
    (DatabaseUnavailableError(ErrorCode.SERVICE_UNAVAILABLE, "refused"), {"reason": "refused"}),
    (AwayError("redis is away"), {"reason": "redis is away"}),
    (OSError(errno.ENOSPC, "no space"), {"reason": "[Errno 28] no space"}),
]


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize(("error", "about"), EXPECTED)
def test_expected_failure_is_one_line_without_a_traceback(
    error: Exception, about: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info", "json")
    try:
        raise error
    except type(error):
        structlog.get_logger().exception("sweep_failed", step="one")
    structlog.get_logger().warning("event_retried", exc_info=error)
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert [(line["action"], line["level"]) for line in map(json.loads, text.splitlines())] == [
        ("sweep_failed", "warning"),
        ("event_retried", "warning"),
    ]
    assert all(about.items() <= json.loads(line).items() for line in text.splitlines())


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("error", [ApiError(ErrorCode.INTERNAL), KeyError("a"), OSError(errno.EIO, "broken")])
def test_defect_keeps_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    structlog.get_logger().error("sweep_failed", exc_info=error)
    line = json.loads(capsys.readouterr().err)
    assert line["level"] == "error"
    assert type(error).__name__ in line["exception"]


@pytest.mark.usefixtures("restored_logging")
def test_client_library_of_the_broker_adds_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("kit.bus.rabbit")
    configure_logging("info", "json")
    logging.getLogger("pika.adapters.utils.connection_workflow").error("AMQP connection workflow failed")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_traceback_tells_no_secret(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", log_format)
    try:
        raise ConnectionError("no answer: https://origin/film.mp4?ticket=abc123")
    except ConnectionError:
        structlog.get_logger().exception("relay_failed")
        logging.getLogger("some.library").exception("failed")
    text = capsys.readouterr().err
    assert text.count("ConnectionError") >= 2
    assert "abc123" not in text
