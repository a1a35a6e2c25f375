from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain import (
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
    NO_PLAN,
    UNTITLED,
    Plan,
    clean_text,
    may_see,
    may_see_in_trash,
    may_upload,
    owner_of_upload,
    parse_tags,
    refusal_to_restore,
    title_from_file_name,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


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
    deleted_at: datetime | None = None


@pytest.mark.parametrize(
    ("caller", "film", "seen"),
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
        # Who leaves a corporation leaves its films, also those brought in by oneself.
        (Person("uploader", corporation_id="other"), Film(corporation_id="acme"), False),
        (Person("uploader"), Film(deleted_at=NOW), False),
        (Person("root", is_admin=True), Film(deleted_at=NOW), False),
    ],
)
def test_who_may_see_what(caller: Person, film: Film, seen: bool) -> None:
    assert may_see(caller, film) is seen


@pytest.mark.parametrize(
    ("caller", "film", "seen"),
    [
        (Person("root", is_admin=True), Film(deleted_at=NOW, corporation_id="acme"), True),
        (Person("uploader"), Film(deleted_at=NOW), True),
        (Person("uploader", corporation_id="acme"), Film(deleted_at=NOW, corporation_id="acme"), True),
        (Person("uploader", corporation_id="other"), Film(deleted_at=NOW, corporation_id="acme"), False),
        (Person("ann", corporation_id="acme"), Film(deleted_at=NOW, corporation_id="acme"), False),
        (Person("uploader"), Film(), False),
        (Person("root", is_admin=True), Film(), False),
    ],
)
def test_who_sees_what_in_the_trash(caller: Person, film: Film, seen: bool) -> None:
    assert may_see_in_trash(caller, film) is seen


PAID = Plan(is_paid=True, expires_at=None)
OWNER = Person("uploader", corporation_id="acme")
OWN = Film(deleted_at=NOW, corporation_id="acme")


@pytest.mark.parametrize(
    ("caller", "film", "plan", "refusal"),
    [
        (OWNER, OWN, PAID, None),
        (OWNER, OWN, Plan(is_paid=True, expires_at=NOW + timedelta(seconds=1)), None),
        (OWNER, OWN, Plan(is_paid=True, expires_at=NOW), "PLAN_REQUIRED"),
        (OWNER, OWN, Plan(is_paid=False, expires_at=NOW + timedelta(days=1)), "PLAN_REQUIRED"),
        (OWNER, OWN, NO_PLAN, "PLAN_REQUIRED"),
        (OWNER, Film(deleted_at=NOW), PAID, "AUTH_FORBIDDEN"),
        (OWNER, Film(corporation_id="acme"), PAID, "CONTENT_NOT_FOUND"),
        (Person("ann", corporation_id="acme"), OWN, PAID, "CONTENT_NOT_FOUND"),
        (Person("uploader", corporation_id="other"), OWN, PAID, "CONTENT_NOT_FOUND"),
        (Person("root", is_admin=True), OWN, NO_PLAN, None),
        (Person("root", is_admin=True), Film(deleted_at=NOW), NO_PLAN, None),
        (Person("root", is_admin=True), Film(), NO_PLAN, "CONTENT_NOT_FOUND"),
    ],
)
def test_who_may_restore_what(caller: Person, film: Film, plan: Plan, refusal: str | None) -> None:
    assert refusal_to_restore(caller, film, plan, NOW) == refusal


@pytest.mark.parametrize(
    ("caller", "wanted", "home"),
    [
        (Person("ann"), None, None),
        (OWNER, None, "acme"),
        (OWNER, "acme", "acme"),
        (Person("root", is_admin=True, corporation_id="acme"), None, None),
        (Person("root", is_admin=True), "acme", "acme"),
    ],
)
def test_whose_an_upload_is(caller: Person, wanted: str | None, home: str | None) -> None:
    assert owner_of_upload(caller, wanted) == home


@pytest.mark.parametrize("caller", [Person("ann"), Person("ann", corporation_id="other")])
def test_members_upload_for_no_other_corporation(caller: Person) -> None:
    with pytest.raises(PermissionError):
        owner_of_upload(caller, "acme")


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
