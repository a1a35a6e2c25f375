"""Devices have names that people recognise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.stream.sessions.device_names import MAX_NAME_CHARS, device_key, device_name

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0"
TV = "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (CHROME, "Chrome on Windows"),
        (CHROME + " Edg/140.0.0.0", "Edge on Windows"),
        (SAFARI + " Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (TV, "Chrome on TV"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("VLC/3.0.20 LibVLC/3.0.20", "VLC"),
        ("curl/8.5.0", "curl"),
        ("Lavf/60.16.100", "ffmpeg"),
        ("Wget/1.21 (linux-gnu)", "Wget on Linux"),
        ("", "Unknown device"),
        ("\x00\xff", "Unknown device"),
    ],
)
def test_the_user_agent_names_it(agent: str, name: str) -> None:
    assert device_name(None, agent) == name
    assert device_name(" \u202e ", agent) == name, "what is not to be seen is no name"
    assert device_name(" 거실 TV ", agent) == "거실 TV"


@given(st.text(), st.text())
def test_it_is_short_and_has_no_controls(given_name: str, agent: str) -> None:
    name = device_name(given_name, agent)
    assert 0 < len(name) <= MAX_NAME_CHARS
    assert not set(name) & {"\n", "\x00", "\u202e", "\u200f"}


def test_address_and_program_distinguish_clients() -> None:
    keys = {device_key(*each) for each in (("1", "a"), ("2", "a"), ("1", "b"), ("1a", ""), ("1", "a"))}
    assert len(keys) == 4
