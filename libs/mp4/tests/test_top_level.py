"""The walk over the outermost boxes of a file."""

from __future__ import annotations

import tempfile

import pytest

from mp4.boxes import header_of
from mp4.errors import NotABoxError, TruncatedBoxError
from mp4.top_level import top_level_boxes


def box(kind: bytes, body: bytes = b"") -> bytes:
    return header_of(kind, len(body)) + body


FILM = box(b"ftyp", b"isom") + box(b"moov", b"index") + box(b"mdat", b"pictures")


def walked(data: bytes) -> list[tuple[bytes, int, int, int]]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        boxes = top_level_boxes(file.fileno(), len(data))
        return [(found.kind, found.place.start, found.place.stop, found.header_size) for found in boxes]


def kinds(data: bytes) -> list[bytes]:
    return [kind for kind, *_ in walked(data)]


def test_yields_kind_place_and_header_of_each_box() -> None:
    large = b"\0\0\0\1wide" + (20).to_bytes(8, "big") + b"room"
    assert walked(FILM + large) == [
        (b"ftyp", 0, 12, 8),
        (b"moov", 12, 25, 8),
        (b"mdat", 25, 41, 8),
        (b"wide", 41, 61, 16),
    ]


def test_box_of_size_zero_reaches_to_the_end() -> None:
    assert walked(box(b"ftyp") + b"\0\0\0\0mdat" + b"pictures") == [(b"ftyp", 0, 8, 8), (b"mdat", 8, 24, 8)]


@pytest.mark.parametrize(
    "junk",
    [
        b"\0" * 100,
        b"a text that a camera appended",
        b"\0\0\0\3mdat" + b"\0" * 9,
        b"\0\0\1\0free",
        b"\0\0\0\1free\0\0",
        b"1234567",
    ],
)
def test_junk_behind_a_complete_film_ends_the_walk(junk: bytes) -> None:
    assert kinds(FILM + junk) == [b"ftyp", b"moov", b"mdat"]


@pytest.mark.parametrize("complete", [b"moov", b"mdat"])
def test_junk_behind_an_incomplete_film_is_refused(complete: bytes) -> None:
    with pytest.raises(NotABoxError):
        walked(box(b"ftyp") + box(complete, b"body") + b"\0" * 100)


@pytest.mark.parametrize("kind", [b"moov", b"mdat", b"moof"])
def test_film_box_behind_a_complete_film_that_is_cut_off_is_refused(kind: bytes) -> None:
    with pytest.raises(TruncatedBoxError):
        walked(FILM + box(kind, b"body")[:-1])


@pytest.mark.parametrize("data", [box(b"ftyp", b"isom")[:-1], b"\0\0\0\1mdat\0\0\0\0\0\0\1"])
def test_box_that_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(TruncatedBoxError):
        walked(data)


def test_fewer_bytes_than_a_header_end_the_walk() -> None:
    assert kinds(box(b"ftyp") + b"\0\0\0\x08moo") == [b"ftyp"]
