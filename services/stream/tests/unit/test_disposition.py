"""Under which name a film is saved."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.ids import new_id
from services.stream.delivery.disposition import MAX_NAME_BYTES, attachment

ID = "01939c5e-7b1c-7000-8000-0123456789ab"
SHAPE = re.compile(
    r"attachment; filename=\"([ !#-$&-)+-.0-9;=@A-\[\]-{}~]+)\"(?:; filename\*=UTF-8''([A-Za-z0-9%!#$&+.^_`|~-]+))?"
)


def names(title: str, content_type: str = "video/mp4") -> tuple[str, str]:
    """The name in ASCII, and the one in UTF-8."""
    shaped = SHAPE.fullmatch(attachment(title, content_type, ID))
    assert shaped, attachment(title, content_type, ID)
    return shaped[1], unquote(shaped[2]) if shaped[2] else shaped[1]


@pytest.mark.parametrize(
    ("title", "plain", "full"),
    [
        ("A film", "A film.mp4", "A film.mp4"),
        ("Holiday.mp4", "Holiday.mp4", "Holiday.mp4"),
        ("Café del Mar", "Cafe del Mar.mp4", "Café del Mar.mp4"),
        ("Cafe\u0301", "Cafe.mp4", "Café.mp4"),
        ("가족 여행", "video-0123456789ab.mp4", "가족 여행.mp4"),
        ("여행 2024", "_ 2024.mp4", "여행 2024.mp4"),
        ("../../etc/passwd", "_.._etc_passwd.mp4", "_.._etc_passwd.mp4"),
        ('a"; filename="evil.exe', "a_; filename=_evil.exe.mp4", "a_; filename=_evil.exe.mp4"),
        ("a\r\nSet-Cookie: x=1", "a Set-Cookie_ x=1.mp4", "a Set-Cookie_ x=1.mp4"),
        ("evil\u202egpj.exe", "evil gpj.exe.mp4", "evil gpj.exe.mp4"),
        ("100% \\ done", "100_ _ done.mp4", "100_ _ done.mp4"),
        ("CON", "_CON.mp4", "_CON.mp4"),
        ("nul.txt", "_nul.txt.mp4", "_nul.txt.mp4"),
        (" . ", "video-0123456789ab.mp4", "video-0123456789ab.mp4"),
        ("", "video-0123456789ab.mp4", "video-0123456789ab.mp4"),
        (".htaccess", "htaccess.mp4", "htaccess.mp4"),
    ],
)
def test_title_becomes_a_file_name(title: str, plain: str, full: str) -> None:
    assert names(title) == (plain, full)


def test_type_gives_the_extension() -> None:
    assert names("A", "video/webm")[0] == "A.webm"
    assert names("A", "application/octet-stream")[0] == "A"


@given(st.text(max_size=300))
def test_any_title_is_harmless(title: str) -> None:
    for name in names(title):
        assert name == name.strip()
        assert not name.startswith(".")
        assert not re.search(r'[/\\:*?"<>|\x00-\x1f\x7f]', name)
        assert len(name.encode()) <= MAX_NAME_BYTES + 10


def test_films_without_ascii_have_names_of_their_own() -> None:
    first, second = (SHAPE.fullmatch(attachment("영화", "video/mp4", new_id())) for _ in range(2))
    assert first
    assert second
    assert first[1] != second[1]
