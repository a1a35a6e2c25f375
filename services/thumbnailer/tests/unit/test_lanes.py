"""Which jobs go where."""

from __future__ import annotations

from services.thumbnailer.domain import JobKind
from services.thumbnailer.lanes import Lane, artwork_batches, first_batches, known_kinds

FACTS, THUMBNAIL, POSTERS, STORYBOARD, SUBTITLES, PROTECT = JobKind


def test_facts_go_first_for_uploads_and_imports() -> None:
    assert first_batches(Lane.UPLOAD_FACTS, list(JobKind)) == [[FACTS]]
    assert first_batches(Lane.IMPORT_FACTS, list(JobKind)) == [[FACTS]]
    assert first_batches(Lane.REPROCESS, [STORYBOARD, FACTS]) == [[FACTS, STORYBOARD]]


def test_protecting_has_a_lane_of_its_own() -> None:
    assert first_batches(Lane.REPROCESS, [STORYBOARD, PROTECT]) == [[STORYBOARD]]
    assert first_batches(Lane.REPROCESS, [PROTECT]) == []


def test_artwork_of_a_short_film_is_one_run() -> None:
    assert artwork_batches(60, has_text=True, is_remote=False) == [[THUMBNAIL, POSTERS, STORYBOARD, SUBTITLES]]
    assert artwork_batches(60, has_text=False, is_remote=False) == [[THUMBNAIL, POSTERS, STORYBOARD]]


def test_pictures_do_not_wait_for_what_reads_the_whole_film() -> None:
    expected = [[THUMBNAIL, POSTERS], [STORYBOARD]]
    assert artwork_batches(61, has_text=False, is_remote=False) == expected
    assert artwork_batches(5, has_text=False, is_remote=True) == expected


def test_unknown_kinds_are_ignored_and_none_means_all_but_protect() -> None:
    assert known_kinds([]) == [kind for kind in JobKind if kind is not PROTECT]
    assert known_kinds(["protect"]) == [PROTECT]
    assert known_kinds(["posters", "hologram"]) == [POSTERS]
    assert known_kinds(["hologram"]) == []
