"""Which virtual files are kept."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mp4 import Span, VirtualFile
from services.stream.storage.virtual_file_cache import Identity, VirtualFileLru


def a_file(first_ms: int, until_ms: int, size: int = 1000) -> VirtualFile:
    return VirtualFile(bytes(size), (Span(0, 1),), first_ms / 1000, first_ms, until_ms, "0" * 24)


ONE: Identity = (1, 1, 1, 1)
OTHER: Identity = (1, 2, 1, 1)


def test_the_shelf_finds_by_time() -> None:
    shelf = VirtualFileLru(10**6)
    whole, middle = a_file(0, 1000), a_file(2000, 3000)
    shelf.keep(ONE, whole)
    shelf.keep(ONE, middle)
    expected = {0: whole, 999: whole, 1000: None, 1999: None, 2000: middle, 2999: middle, 3000: None}
    assert {start_ms: shelf.find(ONE, start_ms) for start_ms in expected} == expected
    assert shelf.find(OTHER, 0) is None


def test_the_shelf_lets_go_of_what_is_not_asked_for() -> None:
    shelf = VirtualFileLru(7000)
    kept = [a_file(n * 1000, n * 1000 + 1000) for n in range(3)]
    for virtual in kept:
        shelf.keep(ONE, virtual)
    shelf.find(ONE, 0)
    shelf.keep(OTHER, a_file(0, 1))
    assert shelf.find(ONE, 0) is kept[0]
    assert shelf.find(ONE, 1000) is None
    assert shelf.find(ONE, 2000) is kept[2]


def test_the_shelf_never_holds_more_than_it_may() -> None:
    shelf = VirtualFileLru(5000)
    too_big = a_file(0, 1, size=6000)
    assert shelf.keep(ONE, too_big) is too_big
    assert shelf.find(ONE, 0) is None
    assert shelf._bytes == 0
    assert not shelf._firsts


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(1, 3), st.integers(0, 4000)), max_size=40
    )
)
def test_the_shelf_adds_up(steps: list[tuple[int, int, int, int]]) -> None:
    shelf = VirtualFileLru(20_000)
    for film, first, length, size in steps:
        identity = (film, 0, 0, 0)
        built = a_file(first, first + length, size)
        kept = shelf.keep(identity, built)
        assert kept.first_ms == first
        assert kept.until_ms >= built.until_ms
    assert shelf._bytes == sum(1024 + len(virtual.header) for virtual in shelf._files.values()) <= 20_000
    firsts = [(identity, first) for identity, listed in shelf._firsts.items() for first in listed]
    assert sorted(firsts) == sorted(shelf._files)
    assert all(listed == sorted(listed) for listed in shelf._firsts.values())
