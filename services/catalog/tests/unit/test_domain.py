from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain import (
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
    UNTITLED,
    clean_text,
    may_see,
    may_upload,
    parse_tags,
    title_from_file_name,
)


@dataclass
class Person:
    user_id: str
    is_admin: bool = False
    corporation_id: str = ""


@dataclass
class Film:
    status: str = "ready"
    uploader_id: str = "uploader"
    corporation_id: str | None = None


@pytest.mark.parametrize(
    ("viewer", "film", "seen"),
    [
        (Person("ann"), Film(), True),
        (Person("ann"), Film(status="processing"), False),
        (Person("ann"), Film(status="failed"), False),
        (Person("uploader"), Film(status="failed"), True),
        (Person("ann"), Film(corporation_id="acme"), False),
        (Person("ann", corporation_id="other"), Film(corporation_id="acme"), False),
        (Person("ann", corporation_id="acme"), Film(corporation_id="acme"), True),
        (Person("ann", corporation_id="acme"), Film(), True),
        (Person("root", is_admin=True), Film(status="failed", corporation_id="acme"), True),
    ],
)
def test_who_may_see_what(viewer: Person, film: Film, seen: bool) -> None:
    assert may_see(viewer, film) is seen


def test_who_may_upload() -> None:
    assert may_upload(Person("root", is_admin=True), "admin")
    assert not may_upload(Person("ann"), "admin")
    assert may_upload(Person("ann"), "members")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Night Train.mp4", "Night Train"),
        ("밤 기차.mp4", "밤 기차"),
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\My_Film.MOV", "My Film"),
        ("a\r\nb\x00c.mp4", "a b c"),
        (".mp4", ".mp4"),
        ("", UNTITLED),
        ("\u202e\u200b.mp4", UNTITLED),
        ("Vol. 2", "Vol. 2"),
        ("S01.E02.final.mkv", "S01.E02.final"),
    ],
)
def test_titles_from_file_names(name: str, title: str) -> None:
    assert title_from_file_name(name) == title


@given(st.text(max_size=600))
def test_any_file_name_gives_a_harmless_title(name: str) -> None:
    title = title_from_file_name(name)
    assert 0 < len(title) <= MAX_TITLE_CHARS
    assert title == clean_text(title, MAX_TITLE_CHARS)
    assert "/" not in title or "/" not in name
    assert not any(ord(letter) < 32 for letter in title)


def test_tags_are_trimmed_and_unique_and_bounded() -> None:
    assert parse_tags(" poker, final ,,poker, 결승 ") == ["poker", "final", "결승"]
    assert parse_tags("") == []
    with pytest.raises(ValueError, match="at most"):
        parse_tags(",".join(str(number) for number in range(MAX_TAGS + 1)))
    with pytest.raises(ValueError, match="characters"):
        parse_tags("x" * (MAX_TAG_CHARS + 1))
