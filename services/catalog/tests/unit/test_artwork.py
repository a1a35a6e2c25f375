"""Rules about artwork."""

from __future__ import annotations

import pytest

from kit.ids import new_id
from services.catalog.artwork import (
    PictureFormat,
    Storyboard,
    best_width,
    is_artwork_folder,
    matches_etag,
    preferred_format,
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "jpg"),
        ("*/*", "jpg"),
        ("image/*", "jpg"),
        ("image/webp", "webp"),
        ("image/avif,image/webp,image/apng,*/*;q=0.8", "webp"),
        ("image/WEBP ; q=0.5, image/jpeg;q=0.9", "jpg"),
        ("image/webp;q=0", "jpg"),
        ("image/webp;q=x", "jpg"),
        ("text/html", "jpg"),
        (";;,,q=", "jpg"),
    ],
)
def test_format_follows_accept(accept: str, expected: str) -> None:
    assert preferred_format(accept).ending == expected
    assert PictureFormat.WEBP.value == "image/webp"


@pytest.mark.parametrize(("wanted", "chosen"), [(None, 320), (1, 320), (320, 320), (321, 640), (9999, 1280)])
def test_next_larger_width_is_chosen(wanted: int | None, chosen: int) -> None:
    assert best_width([1280, 320, 640], wanted) == chosen


@pytest.mark.parametrize(
    ("header", "matches"), [("", False), ("*", True), ('"a"', True), ('W/"a"', True), ('"aa"', False)]
)
def test_entity_tags_are_compared_weakly(header: str, matches: bool) -> None:
    assert matches_etag(header, '"a"') is matches


def test_cues_of_a_film_of_unknown_duration() -> None:
    board = Storyboard(0.0, 10.0, 1, 160, 90, 10, 100)
    assert board.sheets == 1
    assert board.webvtt("/s", "?v=1") == "WEBVTT\n\n00:00:00.000 --> 00:00:10.000\n/s/0.jpg?v=1#xywh=0,0,160,90\n"


def test_only_folders_of_jobs_are_artwork() -> None:
    assert is_artwork_folder(f"posters-{new_id()}")
    assert not any(map(is_artwork_folder, ["source", "posters", "posters-1", f"captions-{new_id()}", new_id()]))
