"""The `Range` header of a request for bytes (RFC 9110, section 14). Pure, and linear in the length of the header."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_RANGES = 64
"""More ranges than this in one request are an attack (RFC 9110, 17.15); no player sends so many."""

# Digits only: `int` would also take `1_0`, `+1` and the digits of other scripts.
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_OWS = " \t"
# What players send, nearly always: one range, with numbers that fit any file.
_PLAIN = re.compile(r"bytes=([0-9]{1,15})-([0-9]{1,15})?")


@dataclass(slots=True, order=True)
class ByteRange:
    """Bytes `first` to `last` of a file, both included."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """Return how many bytes that is."""
        return self.last - self.first + 1


class RangeNotSatisfiableError(Exception):
    """No requested range has a byte of the file in it, or there are too many ranges (RFC 9110, 15.5.17)."""


def select(header: str, size: int) -> tuple[ByteRange, ...] | None:
    """Return the ranges that a `Range` header selects of a file of `size` bytes (RFC 9110, 14.1.2 and 14.2).

    Return None when the header must be ignored: its unit is unknown, it is malformed, or it asks for the end of an
    empty file, which no `Content-Range` can express. Ranges that overlap or touch are merged; the others keep the order
    of the request (15.3.7.2).

    Raises:
        RangeNotSatisfiableError: no requested byte is in the file, or there are more than `MAX_RANGES` ranges.
    """
    if (plain := _PLAIN.fullmatch(header)) and (first := int(plain[1])) < size:
        last = int(plain[2]) if plain[2] else size - 1
        return (ByteRange(first, min(last, size - 1)),) if first <= last else None
    unit, _, listed = header.strip(_OWS).partition("=")
    if unit.lower() != "bytes":
        return None
    specs = [_SPEC.fullmatch(item) for text in listed.split(",") if (item := text.strip(_OWS))]
    requested = [(spec[1], spec[2]) for spec in specs if spec]
    if not specs or len(requested) < len(specs) or not all(_is_valid(first, last) for first, last in requested):
        return None
    if len(requested) > MAX_RANGES:
        raise RangeNotSatisfiableError
    if size == 0 and any(not first and _magnitude(last) > _ZERO for first, last in requested):
        return None
    found = [span for first, last in requested if (span := _resolve(first, last, size))]
    if not found:
        raise RangeNotSatisfiableError
    return _merge(found)


_Magnitude = tuple[int, str]
_ZERO: _Magnitude = (0, "")


def _magnitude(digits: str) -> _Magnitude:
    """Return a key that orders numbers of any length by value; converting them would take quadratic time."""
    significant = digits.lstrip("0")
    return len(significant), significant


def _is_valid(first: str, last: str) -> bool:
    if not first:
        return bool(last)
    return not last or _magnitude(first) <= _magnitude(last)


def _resolve(first: str, last: str, size: int) -> ByteRange | None:
    end = _magnitude(str(size))
    if not first:
        count = size if _magnitude(last) > end else int(last)
        return ByteRange(size - count, size - 1) if count else None
    if _magnitude(first) >= end or size == 0:
        return None
    return ByteRange(int(first), size - 1 if not last or _magnitude(last) >= end else int(last))


def _merge(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    merged: list[tuple[int, ByteRange]] = []
    for index, span in sorted(enumerate(ranges), key=lambda item: item[1]):
        if merged and span.first <= merged[-1][1].last + 1:
            earlier, before = merged[-1]
            merged[-1] = min(earlier, index), ByteRange(before.first, max(before.last, span.last))
        else:
            merged.append((index, span))
    return tuple(span for _, span in sorted(merged))
