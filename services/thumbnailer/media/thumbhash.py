"""Make ThumbHashes: placeholders of some 25 bytes for pictures (https://evanw.github.io/thumbhash)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

_MOST: Final = 7
"""Components of the luminance along the longer side."""
_CHROMA: Final = 3

Channel = list[float]


def thumbhash(width: int, height: int, rgb: bytes) -> bytes:
    """Return the ThumbHash of an opaque picture of at most 100 pixels a side; `rgb` has three bytes a pixel."""
    longer = max(width, height)
    across, down = (max(1, _round(_MOST * side / longer)) for side in (width, height))
    luminance, yellow_blue, red_green = _channels(rgb)
    size = (width, height)
    l_dc, l_ac, l_scale = _encoded(luminance, size, max(3, across), max(3, down))
    p_dc, p_ac, p_scale = _encoded(yellow_blue, size, _CHROMA, _CHROMA)
    q_dc, q_ac, q_scale = _encoded(red_green, size, _CHROMA, _CHROMA)
    is_landscape = width > height
    head = _round(63 * l_dc) | _round(31.5 + 31.5 * p_dc) << 6 | _round(31.5 + 31.5 * q_dc) << 12
    head |= _round(31 * l_scale) << 18
    tail = (down if is_landscape else across) | _round(63 * p_scale) << 3 | _round(63 * q_scale) << 9
    tail |= is_landscape << 15
    nibbles = [_round(15 * value) for value in (*l_ac, *p_ac, *q_ac)]
    if len(nibbles) % 2:
        nibbles.append(0)
    packed = bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
    return head.to_bytes(3, "little") + tail.to_bytes(2, "little") + packed


def _channels(rgb: bytes) -> tuple[Channel, Channel, Channel]:
    pixels = [(r / 255, g / 255, b / 255) for r, g, b in zip(rgb[0::3], rgb[1::3], rgb[2::3], strict=True)]
    return (
        [(r + g + b) / 3 for r, g, b in pixels],
        [(r + g) / 2 - b for r, g, b in pixels],
        [r - g for r, g, _ in pixels],
    )


def _encoded(channel: Channel, size: tuple[int, int], across: int, down: int) -> tuple[float, Channel, float]:
    """Return the mean, the other components scaled to 0 to 1, and their scale, of a cosine transform."""
    width, height = size
    rows = [channel[at : at + width] for at in range(0, width * height, width)]
    waves = [_cosines(width, number) for number in range(across)]
    # Transform along each row first: the components of a column are then sums over few numbers.
    by_row = [[math.fsum(map(float.__mul__, row, wave)) for wave in waves] for row in rows]
    mean, values = 0.0, []
    for cy in range(down):
        wave = _cosines(height, cy)
        for cx in range(across):
            if cx * down >= across * (down - cy):
                break
            value = math.fsum(row[cx] * factor for row, factor in zip(by_row, wave, strict=True)) / (width * height)
            if cx or cy:
                values.append(value)
            else:
                mean = value
    scale = max(map(abs, values), default=0.0)
    return mean, [0.5 + 0.5 * value / scale for value in values] if scale else values, scale


def _cosines(length: int, number: int) -> Sequence[float]:
    return [math.cos(math.pi / length * number * (at + 0.5)) for at in range(length)]


def _round(value: float) -> int:
    """Round halves up, as decoders' tests expect; values are not negative."""
    return math.floor(value + 0.5)
