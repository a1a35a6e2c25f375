"""Make sheets of small pictures of a whole film. Part of the confined child: every byte here is foreign."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from av.video.frame import VideoFrame

from services.thumbnailer import domain
from services.thumbnailer.domain import STORYBOARD_COLUMNS, STORYBOARD_SHEET_TILES, STORYBOARD_TILE_WIDTH
from services.thumbnailer.media.errors import UnusableFileError
from services.thumbnailer.media.picture_choice import (
    all_frames,
    all_key_frames,
    key_frame_before,
)
from services.thumbnailer.media.picture_output import jpeg, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.video.plane import VideoPlane

    from services.thumbnailer.media.probe import Film

QUALITY: Final = 7
"""The JPEG quantiser, of 1 (best) to 31."""
_MISSING_AT_MOST: Final = 0.5
"""Share of cues without a picture of their own above which there is no storyboard."""
_GREY: Final = 128

Tile = tuple[bytes, bytes, bytes]
"""Y, Cb and Cr of a small picture, without padding."""


def storyboard_of(film: Film, seconds: float) -> tuple[dict[str, object], list[bytes]]:
    """Return the layout of a storyboard, for JSON, and its sheets as JPEG.

    Each cue shows the key frame at or before it. Where key frames can't be decoded or are far apart, the film is
    decoded from its start instead, for at most that many seconds.

    Raises:
        UnusableFileError: DAMAGED, as too few pictures can be decoded.
    """
    interval, count = domain.storyboard_cues(film.duration_sec)
    maker = _Tiles(film, interval, count)
    maker.fill_from_key_frames()
    if maker.needs_full_decode():
        maker.fill_from_all_frames(time.monotonic() + seconds)
    tiles = maker.complete()
    width, height = STORYBOARD_TILE_WIDTH, maker.height
    layout: dict[str, object] = {
        "duration_sec": film.duration_sec,
        "interval_sec": interval,
        "tiles": count,
        "tile_width": width,
        "tile_height": height,
    }
    parts = (tiles[at : at + STORYBOARD_SHEET_TILES] for at in range(0, count, STORYBOARD_SHEET_TILES))
    return layout, [_sheet(part, width, height) for part in parts]


class _Tiles:
    """The small pictures of one film, by number of their cue."""

    def __init__(self, film: Film, interval: float, count: int) -> None:
        self._film = film
        self._interval = interval
        self._tiles: list[Tile | None] = [None] * count
        self._distinct = 0
        self.height = shown(film.first, film.stream, STORYBOARD_TILE_WIDTH).height

    def fill_from_key_frames(self) -> None:
        """Give each cue the key frame at or before it."""
        if self._is_indexed():
            last: int | None = None
            tile: Tile | None = None
            for number in range(len(self._tiles)):
                found = key_frame_before(self._film.container, self._film.stream, self._place(number), last)
                if found is None:
                    continue
                if found.frame is not None:
                    tile = self._tile(found.frame)
                    self._distinct += tile is not None
                elif found.pts != last:
                    tile = None
                last = found.pts
                self._tiles[number] = tile
            return
        self._fill(all_key_frames(self._film.container, self._film.stream), None)

    def needs_full_decode(self) -> bool:
        """Return whether key frames are missing, or so far apart that they hardly show where a film is."""
        apart = self._film.duration_sec / max(1, self._distinct)
        return None in self._tiles or apart > 2 * domain.STORYBOARD_INTERVAL_SEC

    def fill_from_all_frames(self, until: float) -> None:
        """Give each cue the frame at or before it, until a time of the monotonic clock."""
        self._fill(all_frames(self._film.container, self._film.stream), until)

    def complete(self) -> list[Tile]:
        """Return all tiles; a cue without a picture gets that of the one before.

        Raises:
            UnusableFileError: DAMAGED.
        """
        missing = self._tiles.count(None)
        if missing > _MISSING_AT_MOST * len(self._tiles):
            raise UnusableFileError("DAMAGED")
        last = next(tile for tile in self._tiles if tile is not None)
        found = []
        for tile in self._tiles:
            last = tile or last
            found.append(last)
        return found

    def _fill(self, frames: Iterator[VideoFrame], until: float | None) -> None:
        """Give each cue the last frame at or before it.

        Cues after the last frame get it too, if they are no further from it than frames were from each other; beyond
        that the film could not be read.
        """
        number, gap, before = 0, 0, None
        for frame in frames:
            if until is not None and time.monotonic() > until:
                return
            if frame.pts is None:
                continue
            if before is not None and before.pts is not None:
                gap = max(gap, frame.pts - before.pts)
            number = self._give(number, before or frame, frame.pts)
            before = frame
        if before is not None and before.pts is not None:
            self._give(number, before, before.pts + gap + 1)

    def _give(self, number: int, frame: VideoFrame, end: int) -> int:
        """Give a frame to the cues from `number` on that are before `end`; return the number of the next one."""
        if number == len(self._tiles) or self._place(number) >= end:
            return number
        tile = self._tile(frame)
        self._distinct += 1
        while number < len(self._tiles) and self._place(number) < end:
            self._tiles[number] = tile or self._tiles[number]
            number += 1
        return number

    def _is_indexed(self) -> bool:
        """Return whether the index covers most of the film, so that key frames can be found without reading it all."""
        stream = self._film.stream
        entries = stream.index_entries
        return len(entries) > 0 and entries[len(entries) - 1].timestamp >= self._place(len(self._tiles) // 2)

    def _place(self, number: int) -> int:
        stream = self._film.stream
        return (stream.start_time or 0) + round(number * self._interval / (stream.time_base or 1))

    def _tile(self, frame: VideoFrame) -> Tile | None:
        if frame.is_corrupt:
            return None
        picture = shown(frame, self._film.stream, STORYBOARD_TILE_WIDTH)
        if picture.height != self.height:
            return None
        sizes = _plane_sizes(STORYBOARD_TILE_WIDTH, self.height)
        luma, blue, red = (_unpadded(plane, *size) for plane, size in zip(picture.planes, sizes, strict=True))
        return luma, blue, red


def _plane_sizes(width: int, height: int) -> Sequence[tuple[int, int]]:
    return (width, height), (width // 2, height // 2), (width // 2, height // 2)


def _unpadded(plane: VideoPlane, width: int, height: int) -> bytes:
    data, line = memoryview(plane), plane.line_size
    return b"".join(data[at : at + width] for at in range(0, height * line, line))


def _sheet(tiles: Sequence[Tile], width: int, height: int) -> bytes:
    """Return tiles side by side, in rows from the top left, as JPEG; places without one are grey."""
    columns = min(STORYBOARD_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = VideoFrame(columns * width, rows * height, "yuvj420p")
    for number, (plane, (w, h)) in enumerate(zip(sheet.planes, _plane_sizes(width, height), strict=True)):
        line = plane.line_size
        canvas = bytearray([_GREY]) * (line * rows * h)
        for at, tile in enumerate(tiles):
            row, column = divmod(at, columns)
            for y in range(h):
                start = (row * h + y) * line + column * w
                canvas[start : start + w] = tile[number][y * w : (y + 1) * w]
        plane.update(bytes(canvas).ljust(plane.buffer_size, b"\0"))
    return jpeg(sheet, QUALITY)
