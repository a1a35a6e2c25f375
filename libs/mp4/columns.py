"""Columns of big-endian numbers, read and written in bulk: a film has a million of them."""

from __future__ import annotations

import sys
from array import array
from typing import TypeAlias

Numbers: TypeAlias = "array[int]"  # before Python 3.12 arrays know no parameters when they run

U32_MAX = 0xFFFF_FFFF
I32_MAX = 0x7FFF_FFFF
TIME_MAX = 2**62
"""No time, in whatever units, is longer; so that sums of times fit into 64 bits."""


def unpacked(code: str, table: bytes | memoryview) -> Numbers:
    """The numbers of a table; `code` is one of `array`'s: `H`, `I` and `Q` have 16, 32 and 64 bits, `i` a sign."""
    numbers = array(code)
    numbers.frombytes(table)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def packed(numbers: Numbers) -> bytes:
    """A table of numbers."""
    if sys.byteorder == "little":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def rows_of(*columns: Numbers) -> bytes:
    """A table of 32-bit numbers from its columns, signed or not."""
    table = array("I", bytes(4 * len(columns) * len(columns[0])))
    for place, column in enumerate(columns):
        table[place :: len(columns)] = array("I", column.tobytes())
    return packed(table)


def shifted(numbers: Numbers, by: int) -> Numbers:
    """All numbers, each larger by so much. None may leave the range of its type.

    They are added up as one very long number, whose digits carry nothing over: ten times as fast as one by one.
    """
    width = numbers.itemsize
    digits = int.from_bytes(numbers.tobytes(), sys.byteorder)
    steps = int.from_bytes(abs(by).to_bytes(width, sys.byteorder) * len(numbers), sys.byteorder)
    total = digits + steps if by >= 0 else digits - steps
    return array(numbers.typecode, total.to_bytes(width * len(numbers), sys.byteorder))
