"""The rules about accounts."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.credentials.passwords import common_passwords
from services.auth.domain import (
    REUSE_GRACE,
    RefreshState,
    decide_refresh,
    initial_status,
    login_key,
    login_problem,
    name_problem,
    password_problem,
    searchable,
)

NOW = datetime(2024, 1, 1, tzinfo=UTC)
FRESH = RefreshState(
    expires_at=NOW + timedelta(days=7), used_at=None, family_revoked=False, is_latest_predecessor=False
)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Alice", "aLICE"),
        ("홍길동", unicodedata.normalize("NFD", "홍길동")),
        ("José", "Jose\u0301"),
        ("alice", "\uff41\uff4c\uff49\uff43\uff45"),
        (" alice ", "alice"),
        ("Straße", "STRASSE"),
        ("ﬁlm", "film"),
        ("\u1e9e", "ss"),
    ],
)
def test_equivalent_logins_have_same_key(one: str, two: str) -> None:
    assert login_key(one) == login_key(two)


@given(st.text())
def test_login_key_is_idempotent(text: str) -> None:
    key = login_key(text)
    assert key == key.strip()
    assert unicodedata.is_normalized("NFKC", key)
    if text.isascii():
        assert login_key(key) == key == text.lower().strip()


@given(st.text())
def test_composition_does_not_distinguish_logins(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert login_key(unicodedata.normalize(form, text)) == login_key(text)


@pytest.mark.parametrize("login", ["a", "홍길동", "a b", "a@b.c", "x" * 64, "가" * 64, "naïve", "😀"])
def test_usable_logins(login: str) -> None:
    assert login_problem(login) is None


@pytest.mark.parametrize(
    "login",
    ["", " ", "\u3000", "x" * 65, "ﷺ" * 4, "a:b", "a\0b", "a\nb", "a\u200db", "\u202ea", "a\ud800", "e\u0301" * 40],
)
def test_unusable_logins(login: str) -> None:
    assert login_problem(login)


@given(st.text())
def test_usable_logins_fit_their_columns(text: str) -> None:
    if login_problem(text) is None:
        assert 1 <= len(login_key(text)) <= 64
        assert len(text) <= 64
        assert "\0" not in text


@pytest.mark.parametrize("name", ["a", "홍 길동", "x" * 100, "👨‍👩‍👧"])
def test_usable_names(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize("name", ["", "x" * 101, "a\0b", "a\nb", "\x1b[31m", "\ud800"])
def test_unusable_names(name: str) -> None:
    assert name_problem(name)


COMMON = frozenset({"password1", "비밀번호비밀번호"})


@pytest.mark.parametrize(
    "password",
    [
        "        ",
        "correct horse",
        "aaaaaaab",
        "비밀번호입니다요",
        "😀" * 8,
        "x" * 1024,
        "가" * 341,
        "password 1",
        "\0" * 8,
    ],
)
def test_passwords_of_any_composition_are_accepted(password: str) -> None:
    assert password_problem(password, "alice", COMMON) is None


@pytest.mark.parametrize(
    "password",
    [
        "",
        "1234567",
        "x" * 1025,
        "가" * 342,
        "password1",
        "PassWord1",
        "\uff30assword1",
        unicodedata.normalize("NFD", "비밀번호비밀번호"),
        "alice-in-wonder",
        "Alice-In-Wonder",
        "abcdefg\ud800",
    ],
)
def test_short_long_and_common_passwords_are_refused(password: str) -> None:
    assert password_problem(password, "Alice-in-wonder", COMMON)


def test_common_passwords_are_in_normalised_form() -> None:
    words = common_passwords()
    assert len(words) > 8_000
    assert {"password", "12345678", "qwertyuiop"} <= words
    assert all(word == login_key(word) and len(word) >= 8 for word in words)


@given(st.text(), st.text())
def test_search_text_contains_every_part(login: str, name: str) -> None:
    text = searchable(login, name)
    assert searchable(login) in text
    assert searchable(name) in text


def test_new_account_is_pending_unless_registration_is_open() -> None:
    assert initial_status("open") == "active"
    assert initial_status("approval") == "pending"


def test_unused_token_is_rotated() -> None:
    assert decide_refresh(FRESH, NOW) == "rotate"


def test_token_expires_exactly_at_expiry() -> None:
    assert decide_refresh(FRESH, FRESH.expires_at - MOMENT) == "rotate"
    assert decide_refresh(FRESH, FRESH.expires_at) == "expired"


def test_used_token_is_reuse_except_within_grace() -> None:
    used = replace(FRESH, used_at=NOW)
    predecessor = replace(used, is_latest_predecessor=True)
    assert decide_refresh(used, NOW) == "reused"
    assert decide_refresh(predecessor, NOW) == "repeat"
    assert decide_refresh(predecessor, NOW + REUSE_GRACE) == "repeat"
    assert decide_refresh(predecessor, NOW + REUSE_GRACE + MOMENT) == "reused"


def test_another_replicas_clock_may_be_ahead() -> None:
    assert decide_refresh(replace(FRESH, used_at=NOW + MOMENT, is_latest_predecessor=True), NOW) == "repeat"


@given(
    used_sec_ago=st.none() | st.integers(-5, 10**6), predecessor=st.booleans(), expires_in_sec=st.integers(-100, 100)
)
def test_token_of_revoked_family_is_reuse(used_sec_ago: int | None, predecessor: bool, expires_in_sec: int) -> None:
    state = RefreshState(
        expires_at=NOW + timedelta(seconds=expires_in_sec),
        used_at=None if used_sec_ago is None else NOW - timedelta(seconds=used_sec_ago),
        family_revoked=True,
        is_latest_predecessor=predecessor,
    )
    assert decide_refresh(state, NOW) == "reused"
