"""Columns of big-endian numbers, read and written in bulk: a film has a million of them."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from typing import TypeAlias

Numbers: TypeAlias = "array[int]"  # before Python 3.12 arrays know no parameters when they run

U32_MAX = 0xFFFF_FFFF
I32_MAX = 0x7FFF_FFFF


def unpacked(code: str, table: bytes | memoryview) -> Numbers:
    """The numbers of a table; `code` is one of `array`'s: `H`, `I` and `Q` have 16, 32 and 64 bits, `i` a sign."""
    numbers = array(code)
    numbers.frombytes(table)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def packed(code: str, numbers: Iterable[int]) -> bytes:
    """A table of numbers. Raises OverflowError for one that `code` can't hold."""
    table = array(code, numbers)
    if sys.byteorder == "little":
        table.byteswap()
    return table.tobytes()


def rows_of(*columns: Numbers) -> bytes:
    """A table of 32-bit numbers from its columns, signed or not."""
    table = array("I", bytes(4 * len(columns) * len(columns[0])))
    for place, column in enumerate(columns):
        table[place :: len(columns)] = array("I", column.tobytes())
    if sys.byteorder == "little":
        table.byteswap()
    return table.tobytes()
