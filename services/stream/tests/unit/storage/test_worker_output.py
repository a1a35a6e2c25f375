"""Which output of the process that builds a virtual file its parent accepts."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mp4 import Span, UnsupportedMediaError, VirtualFile
from mp4.worker_process import parse_worker_output

SAID: dict[str, object] = {
    "spans": [[10, 20]],
    "start_sec": 1.5,
    "first_ms": 1500,
    "until_ms": 2000,
    "digest": "0123456789abcdef01234567",
}


def said(change: Callable[[dict[str, object]], object]) -> bytes:
    facts = dict(SAID)
    change(facts)
    return json.dumps(facts).encode() + b"\nheader\n"


def test_what_a_child_says_is_understood() -> None:
    assert parse_worker_output(said(lambda _: None), 30) == VirtualFile(
        b"header\n", (Span(10, 20),), 1.5, 1500, 2000, "0123456789abcdef01234567"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spans", [[10, 21]]),
        ("spans", [[-1, 5]]),
        ("spans", [[0, 0]]),
        ("spans", [[0]]),
        ("spans", 5),
        ("spans", [[0, True]]),
        ("start_sec", None),
        ("first_ms", -1),
        ("until_ms", "1"),
        ("digest", '"\r\n'),
        ("digest", 5),
    ],
)
def test_nonsense_of_a_child_is_unsupported(key: str, value: object) -> None:
    with pytest.raises(UnsupportedMediaError):
        parse_worker_output(said(lambda facts: facts.update({key: value})), 30)


@settings(max_examples=300, deadline=None)
@given(noise=st.binary(max_size=100))
def test_noise_of_a_child_is_unsupported(noise: bytes) -> None:
    with pytest.raises(UnsupportedMediaError):
        parse_worker_output(noise, 30)
