"""Devices that have logged in before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.credentials.devices import MAX_LOGINS, known_device, remember_login

KEY, OTHER = b"k" * 32, b"o" * 32


def test_device_is_known_only_for_login_that_succeeded() -> None:
    cookie = remember_login(KEY, [], "Alice")
    device = known_device(KEY, [cookie], " ALICE ")
    assert device == cookie.split(".")[0]
    assert known_device(KEY, [cookie], "bob") is None
    assert known_device(OTHER, [cookie], "alice") is None


def test_each_of_several_cookies_is_tried() -> None:
    cookie = remember_login(KEY, [], "alice")
    assert known_device(KEY, ["", "junk", remember_login(OTHER, [], "alice"), cookie], "alice")


def test_device_keeps_id_and_other_logins() -> None:
    first = remember_login(KEY, [], "alice")
    second = remember_login(KEY, [first], "bob")
    assert known_device(KEY, [second], "alice") == known_device(KEY, [second], "bob") == first.split(".")[0]
    assert remember_login(KEY, [second], "bob") == second


def test_oldest_login_is_dropped() -> None:
    cookie = remember_login(KEY, [], "user-0")
    for number in range(1, MAX_LOGINS + 1):
        cookie = remember_login(KEY, [cookie], f"user-{number}")
    assert known_device(KEY, [cookie], "user-0") is None
    assert all(known_device(KEY, [cookie], f"user-{number}") for number in range(1, MAX_LOGINS + 1))
    assert len(cookie) < 250


@pytest.mark.parametrize("change", [-1, 0, 23, 30])
def test_altered_cookie_is_ignored(change: int) -> None:
    letters = list(remember_login(KEY, [], "alice"))
    letters[change] = "A" if letters[change] != "A" else "Q"
    assert known_device(KEY, ["".join(letters)], "alice") is None


@given(st.text(), st.text())
def test_malformed_cookies_are_ignored(cookie: str, login: str) -> None:
    assert known_device(KEY, [cookie], login) is None
    assert known_device(KEY, [remember_login(KEY, [cookie], login)], login)
