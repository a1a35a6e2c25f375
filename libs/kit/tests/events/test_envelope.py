"""The envelope of events."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.events.envelope import Event, MalformedEventError
from kit.ids import is_id
from marquee.events.v1 import media_pb2, user_pb2

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(user_id=TEXT, login_id=TEXT, status=TEXT, version=st.integers(0, 2**31 - 1))
def test_a_message_comes_back_from_its_event(user_id: str, login_id: str, status: str, version: int) -> None:
    message = user_pb2.UserRegistered(user_id=user_id, login_id=login_id, status=status)
    event = Event.of(message, source="auth", subject="1", version=version)
    assert event.read(user_pb2.UserRegistered) == message
    assert event.version == version


@given(bitrate=st.integers(-(2**63), 2**63 - 1), duration=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_value(bitrate: int, duration: float) -> None:
    message = media_pb2.MediaProbed(bitrate_bps=bitrate, duration_sec=duration)
    event = Event.of(message, source="thumbnailer", subject="1")
    assert event.read(media_pb2.MediaProbed) == message


def test_the_body_is_readable_json_with_the_names_of_the_contract() -> None:
    message = user_pb2.LoginFailed(login_id="홍길동", client_address="::1", code="AUTH_INVALID_CREDENTIALS")
    event = Event.of(message, source="auth", subject="홍길동")
    assert json.loads(event.body) == {
        "login_id": "홍길동",
        "client_address": "::1",
        "code": "AUTH_INVALID_CREDENTIALS",
    }


def test_fields_of_a_newer_release_are_ignored() -> None:
    event = Event(type="user.approved", source="auth", subject="1", body=b'{"user_id": "u1", "mood": {"x": [1]}}')
    assert event.read(user_pb2.UserApproved).user_id == "u1"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"1", b"null", b"\xff", b'{"user_id": 1}', b'{"user_id": "\\ud800"}', b"[" * 10_000, b'["user_id"]'],
)
def test_a_malformed_body_is_called_so(body: bytes) -> None:
    event = Event(type="user.approved", source="auth", subject="1", body=body)
    with pytest.raises(MalformedEventError, match=event.id):
        event.read(user_pb2.UserApproved)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["user_id", "login_id", "x"]) | st.text(), inner),
)


@given(body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_a_message_or_malformed(body: bytes) -> None:
    event = Event(type="user.registered", source="auth", subject="1", body=body)
    with contextlib.suppress(MalformedEventError):
        assert isinstance(event.read(user_pb2.UserRegistered), user_pb2.UserRegistered)


def test_each_event_has_an_id_of_its_own_unless_it_is_given_one() -> None:
    message = user_pb2.UserApproved(user_id="u1")
    one = Event.of(message, source="auth", subject="u1")
    two = Event.of(message, source="auth", subject="u1")
    assert is_id(one.id)
    assert one.id != two.id
    assert Event.of(message, source="auth", subject="u1", id="given").id == "given"


def test_a_consequence_carries_the_trace_of_its_cause() -> None:
    cause = Event(type="a.b", source="s", subject="1", body=b"{}", traceparent="trace", request_id="request")
    effect = Event(type="c.d", source="s", subject="1", body=b"{}")
    consequence = effect.caused_by(cause)
    assert (consequence.traceparent, consequence.request_id) == ("trace", "request")
    assert (consequence.id, consequence.type, effect.traceparent) == (effect.id, "c.d", "")
