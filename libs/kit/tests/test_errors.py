"""The vocabulary of errors."""

from __future__ import annotations

import re
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import CODES, ApiError, ErrorCode, prefers_korean

HANGUL = re.compile("[가-힣]")


@pytest.mark.parametrize(("code", "entry"), CODES.items())
def test_every_code_speaks_both_languages(code: str, entry: ErrorCode) -> None:
    assert re.fullmatch("[A-Z]+(_[A-Z]+)*", code)
    assert entry.en.endswith((".", "!", "?"))
    assert not HANGUL.search(entry.en)
    assert HANGUL.search(entry.ko)
    assert HTTPStatus(entry.http_status) >= HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("header", "korean"),
    [
        ("", False),
        ("ko", True),
        ("ko-KR", True),
        ("KO-kr", True),
        ("en", False),
        ("en-US,en;q=0.9,ko;q=0.8", False),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", True),
        ("en;q=0.5, ko;q=0.6", True),
        ("en;q=0.5,ko;Q=0.4", False),
        ("en;q=0.1, ko ; q = 0.2", True),
        ("ja, fr;q=0.5", False),
        ("ja, ko;q=0.1", True),
        ("ko;q=0", False),
        ("*", False),
        ("ko;q=bogus", False),
        ("kok", False),
        ("," * 500 + "ko", False),
    ],
)
def test_the_preferred_language_wins(header: str, *, korean: bool) -> None:
    assert prefers_korean(header) is korean


@given(
    st.text()
    | st.lists(st.tuples(st.sampled_from(["ko", "en", "*", "ko-KR"]), st.text(max_size=8) | st.floats())).map(
        lambda items: ",".join(f"{tag};q={weight}" for tag, weight in items)
    )
)
def test_no_header_breaks_the_choice(header: str) -> None:
    assert prefers_korean(header) in (True, False)


def test_a_body_has_the_same_shape_always() -> None:
    assert ApiError("AUTH_FORBIDDEN").body() == {
        "error": {"code": "AUTH_FORBIDDEN", "message": CODES["AUTH_FORBIDDEN"].en, "details": {}}
    }
    assert ApiError("AUTH_FORBIDDEN", details={"role": "member"}).body("ko")["error"] == {
        "code": "AUTH_FORBIDDEN",
        "message": CODES["AUTH_FORBIDDEN"].ko,
        "details": {"role": "member"},
    }


def test_a_message_of_its_own_wins_in_either_language() -> None:
    error = ApiError("VALIDATION_FAILED", "at most 100 ids")
    assert error.body("ko")["error"]["message"] == "at most 100 ids"


def test_a_code_of_a_newer_release_counts_as_internal() -> None:
    assert ApiError("QUANTUM_FLUX").entry == CODES["INTERNAL"]
