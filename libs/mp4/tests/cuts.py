"""A film of a picture and a sound track, ways to change its boxes, and cuts of it."""

from __future__ import annotations

from collections.abc import Callable

from mp4 import VirtualFile
from mp4.tests.judge import assert_cut, build_of, content, key_frame_at
from mp4.tests.reference import Movie, Node, read_movie
from mp4.tests.synthetic import Frame, Script, Shape, box

SEEN = Shape("vide", 12800, tuple(Frame(512, 0, 50 + n, n % 25 == 0) for n in range(100)), (5,) * 20, stss=True)
HEARD = Shape("soun", 48000, tuple(Frame(960, 0, 20, sync=True) for n in range(200)), (10,) * 20)
FILM = Script(1000, (SEEN, HEARD))


def cut(data: bytes, start_sec: float) -> tuple[VirtualFile, Movie, bytes]:
    virtual = build_of(data, start_sec)
    whole = content(virtual, data)
    assert_cut(data, virtual, key_frame_at(read_movie(data), start_sec))
    return virtual, read_movie(whole), whole


def changed(data: bytes, kind: bytes, change: Callable[[bytes], bytes], which: int = 0) -> bytes:
    """Return a file whose index comes last, with the n-th box of a kind in it replaced."""
    seen = -1

    def written(node: Node) -> bytes:
        nonlocal seen
        raw = data[node.offset : node.offset + node.size]
        if node.kind == kind:
            seen += 1
            if seen == which:
                return change(raw)
        if node.children:
            return box(node.kind.decode("latin-1"), *map(written, node.children))
        return raw

    top = read_movie(data).root
    result = b"".join(map(written, top.children))
    assert seen >= which
    return result


def stbl_of(movie: Movie, number: int) -> Node:
    track = movie.track(number)
    assert track
    return track.node.at("mdia", "minf", "stbl")
