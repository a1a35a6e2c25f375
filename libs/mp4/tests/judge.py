"""Check a virtual file by comparing each sample of it with its source."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import BinaryIO

from mp4 import VirtualFile, build
from mp4.tests.reference import Movie, Track, read_movie

HALF_MS = Fraction(1, 2000)


@contextmanager
def opened(data: bytes) -> Iterator[BinaryIO]:
    """Return an open file in memory with this content."""
    with os.fdopen(os.memfd_create("film"), "w+b", buffering=0) as file:
        file.write(data)
        yield file


def build_of(data: bytes, start_sec: float) -> VirtualFile:
    with opened(data) as file:
        return build(file, len(data), start_sec)


def content(virtual: VirtualFile, data: bytes) -> bytes:
    """Return the virtual file's bytes."""
    pieces = [data[span.offset : span.offset + span.count] for span in virtual.spans]
    assert [len(piece) for piece in pieces] == [span.count for span in virtual.spans]
    whole = virtual.header + b"".join(pieces)
    assert len(whole) == virtual.size
    return whole


def leading(movie: Movie) -> Track:
    """Return the track at whose key frames a film is trimmed."""
    for handler in ("vide", "soun"):
        for track in movie.tracks:
            if track.handler == handler and track.samples:
                return track
    raise AssertionError("neither pictures nor sound")


def key_frame_at(movie: Movie, start_sec: float) -> Fraction:
    """Return when the last key frame at or before a time is shown, in seconds; 0 if there is none."""
    track = leading(movie)
    times = [time for time, number, _ in track.shown(movie.scale) if track.samples[number].sync]
    return max(
        (time for time in times if time < Fraction(round(start_sec * 1000), 1000) + HALF_MS), default=Fraction(0)
    )


def end_of(movie: Movie) -> Fraction:
    """Return when pictures and sound end."""
    ends = [Fraction(0)]
    for track in movie.tracks:
        if track.handler in {"vide", "soun"}:
            edits = sum(duration for duration, _, _ in track.edits)
            ends.append(Fraction(edits, movie.scale) if track.edits else Fraction(track.end, track.scale))
    return max(ends)


def assert_same_index(data: bytes, virtual: VirtualFile) -> None:
    """Assert that only the index has moved to the front."""
    whole = content(virtual, data)
    before, after = read_movie(data), read_movie(whole)
    kinds = [node.kind for node in after.root.children]
    if b"mdat" in kinds:
        assert kinds.index(b"moov") < kinds.index(b"mdat")
    assert sorted(kinds) == sorted(node.kind for node in before.root.children)
    for old, new in zip(before.tracks, after.tracks, strict=True):
        assert (old.number, old.edits, old.scale) == (new.number, new.edits, new.scale)
        for a, b in zip(old.samples, new.samples, strict=True):
            assert (a.decoded, a.shown, a.sync) == (b.decoded, b.shown, b.sync)
            assert data[a.offset : a.offset + a.size] == whole[b.offset : b.offset + b.size]


def assert_cut(data: bytes, virtual: VirtualFile, start: Fraction) -> None:
    """Assert that this is the film from a time on: nothing added, nothing missing, all tracks moved equally."""
    whole = content(virtual, data)
    before, after = read_movie(data), read_movie(whole)
    assert [node.kind for node in after.root.children if node.kind != b"ftyp"] == [b"moov", b"mdat"]
    media = after.root.at("mdat")
    for new in after.tracks:
        old = before.track(new.number)
        assert old is not None
        assert (old.handler, old.scale) == (new.handler, new.scale)
        first = len(old.samples) - len(new.samples)
        assert new.samples
        for a, b in zip(old.samples[first:], new.samples, strict=True):
            assert data[a.offset : a.offset + a.size] == whole[b.offset : b.offset + b.size]
            assert media.offset < b.offset
            assert b.offset + b.size <= media.offset + media.size
        assert_sample_times(old, new, first)
        _assert_shown(before, after, old, new, start)
        assert new.header_duration == sum(duration for duration, _, _ in new.edits)
    for old in before.tracks:
        if after.track(old.number) is None:
            tick = Fraction(1, old.scale)
            late = [time for time, number, _ in old.shown(before.scale) if time >= start + tick]
            assert old.handler == "hint" or not late
    _assert_begins_with_key(after, virtual)
    assert after.duration == max(track.header_duration for track in after.tracks)


def _assert_begins_with_key(after: Movie, virtual: VirtualFile) -> None:
    track = leading(after)
    shown = track.shown(after.scale)
    assert min(shown)[0] == 0
    assert any(track.samples[number].sync for time, number, _ in shown if time == 0)
    assert virtual.first_ms < virtual.until_ms


def assert_sample_times(old: Track, new: Track, first: int) -> None:
    """Assert that decoding times and key frames are the source's."""
    kept = old.samples[first:]
    trimmed = kept[0].duration - new.samples[0].duration
    # A text that is shown already is a shorter text.
    assert trimmed == 0 or (new.handler == "text" and 0 < trimmed <= kept[0].duration)
    for a, b in zip(kept[1:], new.samples[1:], strict=True):
        assert a.duration == b.duration
        assert a.decoded - kept[1].decoded == b.decoded - new.samples[1].decoded
    assert [sample.sync for sample in kept] == [sample.sync for sample in new.samples]
    gaps = {(a.shown - a.decoded) - (b.shown - b.decoded) for a, b in zip(kept, new.samples, strict=True)}
    assert len(gaps) == 1
    assert gaps.pop() <= 0


def _assert_shown(before: Movie, after: Movie, old: Track, new: Track, start: Fraction) -> None:
    tick = Fraction(1, new.scale)
    first = len(old.samples) - len(new.samples)
    got = [(time, number + first, end) for time, number, end in new.shown(after.scale)]
    source = [(time - start, number, end - start) for time, number, end in old.shown(before.scale)]

    def has(entries: list[tuple[Fraction, int, Fraction]], time: Fraction, number: int) -> bool:
        return any(n == number and abs(t - time) <= tick for t, n, _ in entries)

    for time, number, end in source:
        # A picture that is decoded before a key frame and shown after it is no standard one, and lost. Where rounding
        # to the medium's units decides, either is right.
        is_standard = number >= first or new.handler != "vide"
        if is_standard and time > tick and end - time > tick:
            assert has(got, time, number), (new.handler, "missing", number, time)
    allowed = [(time - start, number, end - start) for time, number, end in old.shown(before.scale, slack=1)]
    for time, number, _ in got:
        # A text that had begun before its edit begins with it here.
        if new.handler == "text" and number == first:
            continue
        assert has(allowed, time, number), (new.handler, "foreign", number, time)
