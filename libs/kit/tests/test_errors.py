"""The vocabulary of errors."""

from __future__ import annotations

import json
import re

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import ApiError, ErrorCode, invalid_field, prefers_korean

HANGUL = re.compile("[가-힣]")


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_speaks_both_languages(code: ErrorCode) -> None:
    assert re.fullmatch("[A-Z]+(_[A-Z]+)*", code)
    assert code.en.endswith((".", "!", "?"))
    assert not HANGUL.search(code.en)
    assert HANGUL.search(code.ko)
    assert 400 <= code.http_status < 600  # tus has one of its own: 460
    assert isinstance(code.grpc_status, grpc.StatusCode)


def test_a_code_is_written_like_its_name() -> None:
    assert [code.value for code in ErrorCode] == list(ErrorCode.__members__)
    assert f"{ErrorCode.AUTH_FORBIDDEN} {json.dumps(ErrorCode.AUTH_FORBIDDEN)}" == 'AUTH_FORBIDDEN "AUTH_FORBIDDEN"'


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
    assert ApiError(ErrorCode.AUTH_FORBIDDEN).body() == {
        "error": {"code": "AUTH_FORBIDDEN", "message": ErrorCode.AUTH_FORBIDDEN.en, "details": {}}
    }
    assert ApiError(ErrorCode.AUTH_FORBIDDEN, details={"role": "member"}).body("ko")["error"] == {
        "code": "AUTH_FORBIDDEN",
        "message": ErrorCode.AUTH_FORBIDDEN.ko,
        "details": {"role": "member"},
    }


def test_a_message_of_its_own_wins_in_either_language() -> None:
    error = ApiError(ErrorCode.VALIDATION_FAILED, "at most 100 ids")
    assert error.body("ko")["error"]["message"] == "at most 100 ids"


def test_a_text_is_parsed_only_when_it_is_a_code() -> None:
    assert ErrorCode.parse("AUTH_FORBIDDEN") is ErrorCode.AUTH_FORBIDDEN
    assert ErrorCode.parse("QUANTUM_FLUX") is None


def test_a_mistyped_code_is_refused_by_mypy_and_at_construction() -> None:
    # With `warn_unused_ignores`, mypy fails here should the parameter ever take a plain string again.
    with pytest.raises(ValueError, match="'AUTH_FORBIDEN' is not an error code"):
        ApiError("AUTH_FORBIDEN")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        ApiError(ErrorCode.AUTH_FORBIDEN)  # type: ignore[attr-defined]


def test_an_invalid_field_is_named_in_the_details() -> None:
    error = invalid_field("title", "is too long")
    assert error.code is ErrorCode.VALIDATION_FAILED
    assert error.details == {"fields": [{"field": "title", "problem": "is too long"}]}
